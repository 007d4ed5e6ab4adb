"""Random programs that are valid by construction: every value has a type that is worked out here, not by the compiler.

`program.write` writes a whole program; `body` keeps the lines and values of a body, `steps` and `moves` what can be
done with a value, `blocks` the blocks that bodies use, `library` examples of the library, `noise` what may change in a
text without changing what it says, and `mutations` what spoils one.
"""
