// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// usage: node chdb_server.js CHDB FOLDER PORT-FILE
//
// ClickHouse's engine of today behind as much of its HTTP interface as is used here: chdb has
// none of its own. CHDB is the package's folder, FOLDER holds the data, and the port that it
// listens on is written into PORT-FILE. A parameter of the URL is a setting, as with the
// server; the query is what was POSTed, behind the parameter `query` if there is one.
"use strict";
const fs = require("fs");
const http = require("http");
const zlib = require("zlib");

const [, , chdb, folder, portFile] = process.argv;
const { Session } = require(chdb);
const session = new Session(folder);
const { USER, PASSWORD } = process.env; // what a request must have, if given; PORT: to listen on

function statusOf(code) {
	if ([60, 81, 115, 47, 46].includes(code)) return 404;
	if ([25, 26, 27, 6, 62, 72].includes(code)) return 400;
	return code === 516 ? 403 : 500;
}

function answer(response, status, body) {
	response.writeHead(status, { "Content-Type": "text/plain; charset=UTF-8" });
	response.end(body);
}

function run(query, settings) {
	for (const [name, value] of settings)
		session.query(`SET ${name} = '${value.replace(/[\\']/g, "\\$&")}'`);
	try {
		return session.query(query, "TabSeparated");
	} finally {
		for (const [name] of settings) session.query(`SET ${name} = DEFAULT`);
	}
}

const server = http.createServer((request, response) => {
	const parts = [];
	request.on("data", (part) => parts.push(part));
	request.on("end", () => {
		const url = new URL(request.url, "http://localhost");
		const given = url.searchParams.get("query");
		const packed = request.headers["content-encoding"] === "gzip";
		const body = Buffer.concat(parts);
		const query = (given ? given + "\n" : "") + (packed ? zlib.gunzipSync(body) : body);
		url.searchParams.delete("query");
		url.searchParams.delete("wait_end_of_query"); // it always does
		url.searchParams.delete("wait_end_of_query"); // it always does
		if (url.pathname === "/ping") return answer(response, 200, "Ok.\n");
		if (USER && (request.headers["x-clickhouse-user"] !== USER ||
			     request.headers["x-clickhouse-key"] !== PASSWORD))
			return answer(response, 403, "Code: 516. DB::Exception: fleet: Authentication failed: password is incorrect\n");
		try {
			answer(response, 200, run(query, [...url.searchParams]));
		} catch (error) {
			const code = error.clickhouseCode ?? Number(/Code: (\d+)/.exec(error.message)?.[1]);
			answer(response, statusOf(code), error.message.replace(/^Query failed: /, "") + "\n");
		}
	});
});

server.listen(Number(process.env.PORT || 0), "127.0.0.1", () => {
	fs.writeFileSync(portFile + ".new", String(server.address().port));
	fs.renameSync(portFile + ".new", portFile);
});
process.on("SIGTERM", () => {
	session.close();
	process.exit(0);
});
