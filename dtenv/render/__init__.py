"""Pictures of a slot, a map of the network and a panel of numbers, drawn with pygame; only windows need a display."""
