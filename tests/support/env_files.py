"""What a file for ``EnvironmentFile=`` may hold, and what systemd makes of it; shown to the real one, too."""

from __future__ import annotations

NASTY: dict[str, tuple[str, dict[str, str]]] = {
    "plain": ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
    "space": (" \t A  = \t 1 \t \n\n\n", {"A": "1"}),
    "comments": ("# A=1\n;B=1\n  # C=1\nD=1 # no comment\nE=#none", {"D": "1 # no comment", "E": "#none"}),
    "nothing": ("A=\nB=''\nC=  \nD", {"A": "", "B": "", "C": ""}),
    "export": ("export A=1\nset B=1\nC D=1\nE=1", {"E": "1"}),
    "names": ("A-B=1\n1A=1\n\u00e4=1\n=1\n==1\n_a1=1", {"_a1": "1"}),
    "last": ("A=1\nB=1\nA=2", {"A": "2", "B": "1"}),
    "equals": ("A=b=c==", {"A": "b=c=="}),
    "single": (
        "A='a \\ \" $X `x` \\n # b'\nB='it\\'s'\nC='a\nb'",
        {"A": 'a \\ " $X `x` \\n # b', "B": "it\\s'", "C": "a\nb"},
    ),
    "double": (r'A="a \" \\ \$X \` \n \t \x b"', {"A": 'a " \\ $X ` \\n \\t \\x b'}),
    "double_lines": ('A="a\nb\\\nc"\nB=1', {"A": "a\nbc", "B": "1"}),
    "joined": (
        "A='a'\"b\"c\nB='a' \"b\"  c d  \nC=\"a\" 'b' \nD=a'b'\"c\"",
        {"A": "abc", "B": "abc d", "C": "ab", "D": "a'b'\"c\""},
    ),
    "bare": (
        "A=a\\b\\\\c\\ \nB=a \\\n  b\nC=a\\  \nD=\\\n1\nE=$X ${Y}",
        {"A": "ab\\c ", "B": "a   b", "C": "a ", "D": "1", "E": "$X ${Y}"},
    ),
    "returns": ("A=1\r\nB='a\r\nb'\r\nC=1\rD=1", {"A": "1", "B": "a\r\nb", "C": "1", "D": "1"}),
    "controls": (
        'A="a\tb"\nB="a\x1bb"\nC="a\x7fb"\nD=\u00e4\u20ac',
        {"A": "a\tb", "B": "a\x1bb", "C": "a\x7fb", "D": "\u00e4\u20ac"},
    ),
    "long_comment": ("# a \\\nA=1\nB=1\n;\\", {"B": "1"}),
    "open_single": ("A=1\nB='a\nC=1", {"A": "1", "B": "a\nC=1"}),
    "open_double": ('A="a\nB=1\\', {"A": "a\nB=1"}),
    "open_bare": ("A=a  \\", {"A": "a  "}),
    "open_key": ("A=1\nB", {"A": "1"}),
}  # fmt: skip
