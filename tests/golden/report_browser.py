#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Serves the page and has Chromium look at it, light, dark, wide and narrow: nothing but the
page may be asked for. A line of output for each thing that held.

usage: report_browser.py FILE FOLDER
"""

import http.server
import os
import struct
import subprocess
import sys
import threading
import zlib

VIEWS = {
    "light": (1280, 1600, "1"), "dark": (1280, 1600, "0"), "narrow": (400, 1600, "1"),
}
PAPER = {"1": (255, 255, 255), "0": (15, 20, 25)}


class Server(http.server.SimpleHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


def pixels(path):
    """(width, height, rows of bytes) of an 8-bit RGB or RGBA PNG"""
    with open(path, "rb") as file:
        data = file.read()
    place, packed = 8, b""
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        chunk = data[place + 8:place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", chunk[:10])
            assert depth == 8 and color in (2, 6), (depth, color)
            step = 3 if color == 2 else 4
        elif kind == b"IDAT":
            packed += chunk
        place += 12 + length
    raw, rows, before = zlib.decompress(packed), [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        row = bytearray(raw[start + 1:start + 1 + width * step])
        unfilter(raw[start], row, before, step)
        rows.append(row)
        before = row
    return width, height, step, rows


def unfilter(kind, row, above, step):
    for i, value in enumerate(row):
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            row[i] = (value + left) & 255
        elif kind == 2:
            row[i] = (value + above[i]) & 255
        elif kind == 3:
            row[i] = (value + (left + above[i]) // 2) & 255
        elif kind == 4:
            guess = left + above[i] - corner
            near = min((abs(guess - left), 0, left), (abs(guess - above[i]), 1, above[i]),
                       (abs(guess - corner), 2, corner))
            row[i] = (value + near[2]) & 255


def chromium(folder, *arguments):
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--disable-background-networking", "--disable-dev-shm-usage", f"--user-data-dir={folder}/chromium", *arguments],
        capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"chromium: {done.stderr[-300:]!r}")
    return done.stdout.decode()


def view(url, folder, name):
    width, height, scheme = VIEWS[name]
    path = os.path.join(folder, "view.png")
    chromium(folder, f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},{height}",
             f"--screenshot={path}", url)
    _, _, step, rows = pixels(path)
    corner = tuple(rows[2][2 * step:2 * step + 3])
    if corner != PAPER[scheme]:
        raise SystemExit(f"{name}: the paper is {corner}")
    colors = {bytes(row[i:i + 3]) for row in rows[::7] for i in range(0, len(row), step * 5)}
    if len(colors) < 20:
        raise SystemExit(f"{name}: the view is empty")
    print(f"{name}: there is something to see")


WIDTHS = (360, 800, 1400)
FRAMES = """<!DOCTYPE html><body>%s<script>
onload = function () {
  var told = Array.from(document.querySelectorAll("iframe"), function (frame) {
    var page = frame.contentDocument.documentElement;
    return page.scrollWidth + "/" + page.clientWidth;
  });
  document.body.textContent = "widths " + told.join(" ");
};
</script></body>"""


def widths(folder, file):
    """Wide things scroll by themselves: the page is never wider than its window."""
    name = os.path.basename(file)
    with open(os.path.join(folder, "frames.html"), "w", encoding="utf-8") as frames:
        frames.write(FRAMES % "".join(f'<iframe src="{name}" width="{width}" height="900"></iframe>'
                                      for width in WIDTHS))
    shown = chromium(folder, "--allow-file-access-from-files", "--dump-dom", f"file://{folder}/frames.html")
    told = shown[shown.index("widths "):].split("<")[0].split()[1:]
    for width, pair in zip(WIDTHS, told, strict=True):
        has, room = map(int, pair.split("/"))
        if has > room or room < width - 40:
            raise SystemExit(f"{width} pixels: the page needs {has} of {room}")
        print(f"{width} pixels: nothing sticks out")


def main(file, folder):
    os.chdir(os.path.dirname(file))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{os.path.basename(file)}"
        for name in VIEWS:
            view(url, folder, name)
        server.shutdown()
    asked = set(Server.asked)
    if asked - {"/favicon.ico"} != {"/" + os.path.basename(file)}:
        raise SystemExit(f"asked for {asked}")
    print("nothing but the page is asked for")
    widths(folder, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
