"""Sequential backbones, and losses and scores over a catalogue of items."""
