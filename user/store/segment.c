/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/writer.h"

int writer_segment_complete(struct writer *writer)
{
	sqlite3_stmt *segment = writer->statements[COMPLETE_SEGMENT];
	sqlite3_stmt *ports = writer->statements[COMPLETE_PORTS];
	struct writer_counts *counts = &writer->counts;
	/* When it is full, the next id is of the next segment already. */
	int64_t id = (counts->lease - (counts->segment_leases > 0)) >> SCHEMA_SEGMENT_BITS;
	int64_t first = id << SCHEMA_SEGMENT_BITS, last = first + SCHEMA_SEGMENT - 1;
	int error;

	sqlite3_bind_int64(segment, 1, id);
	sqlite3_bind_int64(segment, 2, first);
	sqlite3_bind_int64(segment, 3, last);
	sqlite3_bind_int64(segment, 4, counts->failure - 1);
	sqlite3_bind_int64(segment, 5, counts->segment_until);
	error = writer_step(writer, COMPLETE_SEGMENT);
	if (error)
		return error;
	if (counts->segment_leases) {
		sqlite3_bind_int64(ports, 1, id);
		sqlite3_bind_int64(ports, 2, first);
		sqlite3_bind_int64(ports, 3, last);
		error = writer_step(writer, COMPLETE_PORTS);
		if (error)
			return error;
	}
	counts->lease = last + 1;
	counts->segment_leases = counts->segment_failures = 0;
	counts->segment_since = counts->segment_until = 0;
	counts->completed++;
	return 0;
}

int writer_segment_grow(struct writer *writer, int64_t time)
{
	struct writer_counts *counts = &writer->counts;

	if (!counts->segment_since || time < counts->segment_since)
		counts->segment_since = time;
	if (time > counts->segment_until)
		counts->segment_until = time;
	if (counts->segment_failures < WRITER_SEGMENT_FAILURES &&
	    (counts->lease & (SCHEMA_SEGMENT - 1) || !counts->segment_leases))
		return 0;
	return writer_segment_complete(writer);
}
