"""Where faces come from: FER2013 at hand or from the Hub, else those that ship with scikit-image."""
