"""The tab "Inside": what the methods do, layer by layer and pixel by pixel."""
