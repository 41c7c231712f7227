/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "report/inside.h"

static bool copy_make(struct report_recording *copy, const struct history_recording *told)
{
	struct history_text *texts[] = {&copy->told.host, &copy->told.kernel, &copy->told.tier,
					&copy->told.program};
	char *room = malloc(sizeof(texts) / sizeof(*texts) * KEY_TEXT);

	if (!room)
		return false;
	*copy = (struct report_recording){.told = *told, .texts = room};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (!texts[i]->data)
			continue;
		if (texts[i]->length > KEY_TEXT)
			texts[i]->length = KEY_TEXT;
		memcpy(room, texts[i]->data, texts[i]->length);
		texts[i]->data = room;
		room += texts[i]->length;
	}
	return true;
}

int report_recording(void *context, const struct history_recording *told)
{
	struct report *report = context;

	if (report->recording_count == REPORT_RECORDINGS) {
		free(report->recordings[0].texts);
		memmove(report->recordings, report->recordings + 1,
			(REPORT_RECORDINGS - 1) * sizeof(*report->recordings));
		report->recording_count--;
		report->recordings_more++;
	}
	if (!copy_make(&report->recordings[report->recording_count], told))
		return -ENOMEM;
	report->recording_count++;
	return 0;
}
