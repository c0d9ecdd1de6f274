"""Win rates: what verdicts of a judge say about a candidate, its length and style set aside, and with which error.

pairs: games to pairs, and whether they may be published. alpaca, length_control (side_file, regression),
alpaca_package: AlpacaEval 2. arena, style: Arena-Hard. against: head to head, over seeds and items. table (rows): all
of it in a grid.
"""
