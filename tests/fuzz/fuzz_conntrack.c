// SPDX-License-Identifier: BSD-2-Clause
// Fuzzes the reader of ctnetlink messages: any bytes, of exactly their length.
#include "efw/conntrack_message.c"
#include "efw/conntrack_refusal.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size); /* aligned, which data need not be */
	struct ct_bytes datagram = { bytes, bytes + size };
	const struct nlmsghdr *message;
	struct ct_flow flow;

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	while ((message = ct_message_next(&datagram))) {
		if (ct_flow_read(message, &flow))
			(void)ct_refusal(&flow);
	}
	free(bytes);
	return 0;
}
