# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tests of tools/ports/generate.py: what it makes of the small registry in
tests/fixtures/ports, and that it refuses what is not a registry, line by line."""
import filecmp
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
GENERATOR = os.path.join(ROOT, "tools", "ports", "generate.py")
FIXTURES = os.path.join(ROOT, "tests", "fixtures", "ports")
REGISTRY = os.path.join(FIXTURES, "registry-2020-02-29.csv")
USES = os.path.join(FIXTURES, "uses.tsv")
TABLES = ("iana_table", "known_uses_table")


def read(path):
    with open(path, "rb") as file:
        return file.read()


HEADER = read(REGISTRY).split(b"\n")[0] + b"\n"
USES_HEADER = b"\n".join(read(USES).split(b"\n")[:2]) + b"\n"


class Generator(unittest.TestCase):
    def setUp(self):
        self.room = tempfile.TemporaryDirectory()
        self.addCleanup(self.room.cleanup)
        self.output = os.path.join(self.room.name, "output")
        os.mkdir(self.output)

    def file(self, name, content):
        path = os.path.join(self.room.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def run_it(self, *arguments):
        return subprocess.run([sys.executable, "-B", GENERATOR, "--output", self.output,
                               *arguments], capture_output=True, text=True, check=False)

    def refused(self, result, *words):
        """Status 2, one line that has the words, and no file written."""
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stdout, "")
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual(os.listdir(self.output), [])

    def refused_row(self, row, *words, line=2):
        path = self.file("registry-2020-01-01.csv", HEADER + row + b"\n")
        self.refused(self.run_it("--registry", path), f"{path}:{line}: ", *words)

    def refused_use(self, row, *words, line=3):
        path = self.file("uses.tsv", USES_HEADER + row + b"\n")
        self.refused(self.run_it("--uses", path), f"{path}:{line}: ", *words)

    # ---- good input ----

    def test_tables_are_the_expected_ones(self):
        result = self.run_it("--registry", REGISTRY, "--uses", USES)
        self.assertEqual(result.returncode, 0, result.stderr)
        for table in TABLES:
            self.assertEqual(read(os.path.join(self.output, table + ".c")).decode(),
                             read(os.path.join(FIXTURES, table + ".expected")).decode())

    def test_slip_of_the_registry_is_told(self):
        result = self.run_it("--registry", REGISTRY)
        self.assertEqual(result.stderr.count("\n"), 1)
        self.assertIn(":12: Unassigned 10-19, but other lines have 14", result.stderr)

    def test_only_what_was_asked_for(self):
        self.assertEqual(self.run_it("--uses", USES).returncode, 0)
        self.assertEqual(os.listdir(self.output), ["known_uses_table.c"])

    def test_date_option_comes_first(self):
        self.assertEqual(self.run_it("--registry", REGISTRY, "--date", "2021-12-31").returncode, 0)
        self.assertIn(b'iana_date[] = "2021-12-31"',
                      read(os.path.join(self.output, "iana_table.c")))

    def test_windows_line_ends(self):
        path = self.file("registry-2020-02-29.csv", read(REGISTRY).replace(b"\n", b"\r\n"))
        self.assertEqual(self.run_it("--registry", path).returncode, 0)
        self.assertEqual(read(os.path.join(self.output, "iana_table.c")),
                         read(os.path.join(FIXTURES, "iana_table.expected")))

    def test_known_uses_of_the_tree_are_up_to_date(self):
        uses = os.path.join(ROOT, "tools", "ports", "known-uses.tsv")
        self.assertEqual(self.run_it("--uses", uses).returncode, 0)
        self.assertTrue(filecmp.cmp(os.path.join(self.output, "known_uses_table.c"),
                                    os.path.join(ROOT, "user", "ports", "known_uses_table.c"),
                                    shallow=False),
                        "run tools/ports/generate.py --uses tools/ports/known-uses.tsv")

    # ---- bad registry ----

    def test_heading(self):
        path = self.file("r-2020-01-01.csv", b"Name,Port\nssh,22\n")
        self.refused(self.run_it("--registry", path), f"{path}:1: ", "Service Name")

    def test_empty(self):
        path = self.file("r-2020-01-01.csv", b"")
        self.refused(self.run_it("--registry", path), f"{path}:1: ", "got none")
        path = self.file("r-2020-01-01.csv", HEADER)
        self.refused(self.run_it("--registry", path), f"{path}:2: ", "got none")

    def test_columns(self):
        self.refused_row(b"ssh,22,tcp", "expected 12 columns, got 3")
        self.refused_row(b"ssh,22,tcp,,,,,,,,,,", "expected 12 columns, got 13")
        self.refused_row(b"", "expected 12 columns, got 0")

    def test_ports(self):
        for port in (b"65536", b"-1", b"22-", b"30-20", b"x", b"1-2-3", b"0x16", b" 22 23",
                     b"999999"):
            self.refused_row(b"ssh," + port + b",tcp,,,,,,,,,", "expected a port")
        self.refused_row("ssh,\uff12\uff12,tcp,,,,,,,,,".encode(), "printable", "Port Number")
        for port in (b"49152", b"49151-49152", b"65535"):
            self.refused_row(b"ssh," + port + b",tcp,,,,,,,,,", "expected ports below 49152")

    def test_protocol(self):
        self.refused_row(b"ssh,22,TCP,,,,,,,,,", "expected tcp, udp, sctp, dccp", "'TCP'")
        self.refused_row(b"ssh,22,icmp,,,,,,,,,", "'icmp'")

    def test_name(self):
        for name in (b"8080", b"-ssh", b"a b", b"a;b", b"a\"\"b", b"x" * 64):
            self.refused_row(b'"' + name + b'",22,tcp,,,,,,,,,', "expected a service name")
        self.refused_row(b",,tcp,Something,,,,,,,,", "Something")
        self.refused_row(b",,tcp,Reserved,,,,,,,,", "got neither")

    def test_unknown_wording_is_not_guessed(self):
        self.refused_row(b",22,tcp,Given back,,,,,,,,", "'Given back'")
        self.refused_row(b",22,tcp,Not unassigned,,,,,,,,", "'Not unassigned'")
        self.refused_row(b",22,tcp,Unassignedness,,,,,,,,", "'Unassignedness'")

    def test_dates(self):
        for date in (b"1979-01-01", b"2020-13-01", b"2020-02-30", b"2020", b"20200101",
                     b"2108-01", b"01-02-2020", b"2020-1-1"):
            self.refused_row(b"ssh,22,tcp,,,," + date + b",,,,,", "registration date")
            self.refused_row(b"ssh,22,tcp,,,,," + date + b",,,,", "modification date")

    def test_hostile_bytes(self):
        self.refused_row(b"ssh,22,tcp,\x1b[31m,,,,,,,,", "printable", "Description")
        self.refused_row(b"ssh,22,tcp,a\x00b,,,,,,,,")
        self.refused_row(b"ssh,22,tcp,,,,,,,,,\xe2\x80\xae", "printable")
        self.refused_row("ssh,22,tcp,端口,,,,,,,,".encode(), "printable")
        self.refused_row(b"a,1,tcp,,,,,,,,,\nssh,22,tcp,\xff\xfe,,,,,,,,", "UTF-8", line=3)

    def test_quotes(self):
        self.refused_row(b'ssh,22,tcp,"never closed,,,,,,,,', "expected CSV")
        self.refused_row(b'ssh,22,tcp,"a"b,,,,,,,,', "expected CSV")

    def test_line_numbers_count_lines_not_rows(self):
        self.refused_row(b'a,1,tcp,"two\nlines",,,,,,,,\nb,x,tcp,,,,,,,,,', "'x'", line=4)

    def test_overlaps(self):
        self.refused_row(b"a,10-20,tcp,,,,,,,,,\nb,15,udp,,,,,,,,,", "15-15", "10-20", line=3)
        self.refused_row(b"a,10-20,tcp,,,,,,,,,\nb,15-25,udp,,,,,,,,,", "15-25", line=3)
        self.refused_row(b",10-20,,Unassigned,,,,,,,,\n,15-25,,Unassigned,,,,,,,,", "15-25",
                         line=3)

    def test_twice(self):
        self.refused_row(b"a,10,tcp,,,,,,,,,\nb,10,tcp,,,,,,,,,\na,10,tcp,x,,,,,,,,",
                         "line 2 again", line=4)
        self.refused_row(b",10,,Unassigned,,,,,,,,\n,10,,Reserved,,,,,,,,", "line 2", line=3)

    def test_no_date(self):
        path = self.file("registry.csv", read(REGISTRY))
        self.refused(self.run_it("--registry", path), "--date")
        for date in ("2020-13-01", "yesterday", "", "20200101"):
            self.refused(self.run_it("--registry", path, "--date", date), "--date", repr(date))
        path = self.file("registry-2020-02-30.csv", read(REGISTRY))
        self.refused(self.run_it("--registry", path), "2020-02-30")

    # ---- bad list of uses ----

    def test_uses_heading(self):
        for head in (b"", b"ports\tproto\n", b"# as of today\n", b"# as of 2020-02-29\n",
                     b"# as of 2020-02-29\nports\tproto\tname\tsource\n"):
            path = self.file("uses.tsv", head)
            self.refused(self.run_it("--uses", path), "expected")
        path = self.file("uses.tsv", USES_HEADER)
        self.refused(self.run_it("--uses", path), "got none")

    def test_uses_rows(self):
        self.refused_use(b"1\ttcp\tname\tsource", "expected 5 columns", "got 4")
        self.refused_use(b"", "expected 5 columns")
        self.refused_use(b"\ttcp\tname\t\tsource", "expected a port")
        self.refused_use(b"1,\ttcp\tname\t\tsource", "expected a port")
        self.refused_use(b"65536\ttcp\tname\t\tsource", "'65536'")
        self.refused_use(b"2-1\ttcp\tname\t\tsource", "'2-1'")
        self.refused_use(b"1\tsctp\tname\t\tsource", "'sctp'")
        self.refused_use(b"1\ttcp,udp\tname\t\tsource", "'tcp,udp'")
        self.refused_use(b"1\t\tname\t\tsource", "expected tcp")
        self.refused_use(b"1\ttcp\t\t\tsource", "expected a name")
        self.refused_use(b"1\ttcp\tname\t\t", "expected a source")
        self.refused_use(b"1\ttcp\tna\x1bme\t\tsource", "printable")
        self.refused_use(b"1\ttcp\tname\t\tsource\n1\ttcp\tname\t\tsource", "again", line=4)

    def test_uses_end(self):
        path = self.file("uses.tsv", USES_HEADER + b"1\ttcp\tname\t\tsource")
        self.refused(self.run_it("--uses", path), f"{path}:3: ", "line end")

    # ---- all or nothing ----

    def test_nothing_half_written(self):
        path = self.file("uses.tsv", USES_HEADER + b"x\ttcp\tname\t\tsource\n")
        self.refused(self.run_it("--registry", REGISTRY, "--uses", path), f"{path}:3: ")

    def test_old_tables_stay(self):
        self.assertEqual(self.run_it("--registry", REGISTRY, "--uses", USES).returncode, 0)
        path = self.file("registry-2020-01-01.csv", HEADER + b"nonsense\n")
        self.assertEqual(self.run_it("--registry", path, "--uses", USES).returncode, 2)
        self.assertEqual(sorted(os.listdir(self.output)), [table + ".c" for table in TABLES])
        for table in TABLES:
            self.assertEqual(read(os.path.join(self.output, table + ".c")),
                             read(os.path.join(FIXTURES, table + ".expected")))

    def test_missing_files(self):
        self.refused(self.run_it("--uses", "/nonexistent.tsv"), "/nonexistent.tsv: No such file")
        self.refused(self.run_it("--registry", "/nonexistent-2020-01-01.csv"), "No such file")
        result = self.run_it("--uses", USES, "--output", "/nonexistent")
        self.refused(result, "/nonexistent: No such file")

    def test_options(self):
        self.refused(self.run_it(), "--registry")
        self.refused(self.run_it("--uses", USES, "--date", "2020-01-01"), "--date")
        self.refused(self.run_it("file.csv"), "file.csv")


if __name__ == "__main__":
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(
        unittest.defaultTestLoader.loadTestsFromTestCase(Generator))
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed, 0 skipped")
    sys.exit(bad != 0)
