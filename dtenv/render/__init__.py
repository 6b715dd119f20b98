"""Pictures of a slot: a map of the network beside a panel of its numbers, drawn with pygame, one canvas a task.

Only a window needs a display.
"""
