"""Lightning modules: what one step of a training does, with the losses, noises and optimizer it uses.

``train.fit`` runs them, from a config to shipped weights.
"""
