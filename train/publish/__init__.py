"""Model cards, and what goes to the Hugging Face Hub."""
