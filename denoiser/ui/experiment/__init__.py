"""The face, the noise and the methods that every tab works on, and the link that holds them."""
