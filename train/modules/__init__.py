"""What trains a network: Lightning modules, losses, mixtures of noises, the optimizer."""
