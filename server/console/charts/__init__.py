"""Charts as text: pure functions that return SVG, coloured by static/charts.css, and a table to read instead.

The same input gives the same text. However much is given, the text is bounded; no number in it is negative
where it is a size, or not finite; nothing that is given can end a tag. No chart needs a script, and none has
a style attribute. Colour never stands alone: a mark says in its title what its colour says.
"""
