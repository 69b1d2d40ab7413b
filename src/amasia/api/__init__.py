"""HTTP: read the body, who may, one service call, answer. One module per noun, one decision per route."""
