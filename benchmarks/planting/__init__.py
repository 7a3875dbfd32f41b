"""Mistakes that are planted into sound files to see whether they are found: a table of small functions for each rule.

`case` says what a planter is given; the other files hold the planters, one for each family of mistakes.
"""
