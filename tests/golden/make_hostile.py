#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Fills each text of a history with what hurts a page.

usage: make_hostile.py DB
"""

import sqlite3
import sys

ATTACKS = (
    '"><script>alert(1)</script>',
    "' onload='alert(1)' x='",
    "</title></style></svg><img src=x onerror=alert(1)>",
    "]]><!-- <![CDATA[ --> &amp; &#60;b&#62; &lt;",
    "<b>bold</b>\r\n\t\x00\x1b[31m\x7f\x85",
    "\u202etxt.exe\u202c\u200b\u2066\ufeff\u00ad",
    b"\xff\xfe\xc0\x80\xed\xa0\x80\xf8\x88",
    "\ufffe\uffff\U0001fffe\u2028\u2029",
    "url(https://example.org/x);}</style>body{display:none",
    "&" * 5000,
    "<" * 300,
    "ä" * 79 + "\u00e4\u6f22\U0001f600" * 40,
    "",
    "javascript:alert(1)",
)
TEXTS = {
    "program": ("comm", "user", "parent_comm"), "executable": ("path",), "cgroup": ("path", "unit", "container"),
    "address": ("ip",), "run": ("host", "kernel", "tier", "program", "boot"), "kind": ("error",),
    "failure": ("blocked_reason",), "blocker": ("role", "state"),
}
UNIQUE = ("path", "ip")


def main(path):
    database = sqlite3.connect(path)
    for table, columns in TEXTS.items():
        key = "rowid" if table != "blocker" else "failure"
        for column in columns:
            rows = [row[0] for row in database.execute(f"SELECT DISTINCT {key} FROM {table}")]
            for place, row in enumerate(rows):
                attack = ATTACKS[place % len(ATTACKS)]
                if column in UNIQUE:
                    attack = attack + (f" {place}" if isinstance(attack, str) else b" %d" % place)
                if table == "kind" and place % 2:
                    continue
                database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (attack, row))
    # Some rows are of kinds with words of their own.
    for place, (row,) in enumerate(database.execute("SELECT id FROM kind").fetchall()):
        if place % 3 == 0:
            database.execute("UPDATE kind SET protocol = ?, trigger = ? WHERE id = ?",
                             ("<tcp onclick='x'>", '"<bind>', row))
    database.execute("INSERT INTO gap VALUES (99999, 1, 'lost', -5, 9223372036854775807, 9223372036854775807)")
    database.execute("UPDATE kind SET pool_low = 65535, pool_high = 1 WHERE id % 5 = 4")
    database.execute("UPDATE kind SET pool_low = 1, pool_high = 65535 WHERE id % 7 = 3")
    database.commit()


if __name__ == "__main__":
    main(sys.argv[1])
