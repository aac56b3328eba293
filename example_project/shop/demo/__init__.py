"""The demo: scenarios that a real worker plays along with, each checked against what was seen."""
