"""Plausible wrong answers to the exercises, and what a learner who gives one must get to read.

One module a chapter, with a dictionary `WRONG`: to each exercise's name at least three pairs of an
answer and words that its report must contain. An answer is a function, under any name, or a value.
Choose mistakes that people make; words that show that the report names the mistake, not only that
something is wrong.
"""
