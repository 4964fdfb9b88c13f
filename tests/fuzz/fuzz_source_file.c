// SPDX-License-Identifier: BSD-2-Clause
// Fuzzes capture files as frame sources: every byte of every frame given is read.
#include <stdint.h>
#include <stdio.h>

/* The file that the source opens, in memory. */
static struct {
	const uint8_t *bytes;
	size_t n;
} fuzz_input;

static FILE *fuzz_open(const char *path, const char *mode)
{
	(void)path;
	(void)mode;
	return fmemopen((void *)fuzz_input.bytes, fuzz_input.n, "r");
}

#define fopen fuzz_open
#include "slowpath/source_file.c"
#include "slowpath/source_capture.c"

static int fuzz_frame(void *arg, const struct frame *frame)
{
	volatile uint8_t *sum = arg;

	if (frame->captured_length > frame->length)
		abort();
	for (uint32_t i = 0; i < frame->captured_length; i++)
		*sum += ((const uint8_t *)frame->data)[i];
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source *source;
	uint8_t sum = 0;
	int n;

	fuzz_input.bytes = data;
	fuzz_input.n = size;
	if (source_file.open("x", &source))
		return 0;
	while ((n = source_file.receive(source, 3, fuzz_frame, &sum)) >= 0)
		if (!n)
			abort(); /* a file has a frame or its end, never nothing */
	source_file.close(source);
	return 0;
}
