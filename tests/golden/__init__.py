"""What each shipped model makes of one made-up picture; see make.py."""
