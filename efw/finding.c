// SPDX-License-Identifier: BSD-2-Clause
// Findings: a list that never loses what it means, however full it is.
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "efw/finding.h"

/* What was read may hold anything; a terminal gets no control characters. */
static void where_copy(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; from[i] && i + 1 < size; i++)
		to[i] = (unsigned char)from[i] < ' ' || from[i] == 0x7f ? '?' : from[i];
	to[i] = '\0';
}

void findings_add(struct findings *findings, uint8_t touches, const char *where, const char *why,
		  ...)
{
	struct finding new = { .touches = touches };
	va_list args;

	va_start(args, why);
	vsnprintf(new.why, sizeof(new.why), why, args);
	va_end(args);
	where_copy(new.where, sizeof(new.where), where);
	findings->touches |= touches;
	for (unsigned i = 0; i < findings->count; i++) {
		struct finding *old = &findings->list[i];

		if (!strcmp(old->where, new.where) && !strcmp(old->why, new.why)) {
			old->touches |= touches;
			return;
		}
	}
	if (findings->count == FINDINGS_MAX)
		findings->more = true;
	else
		findings->list[findings->count++] = new;
}

bool findings_same(const struct findings *a, const struct findings *b)
{
	if (a->count != b->count || a->touches != b->touches || a->more != b->more)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->list[i].where, b->list[i].where) ||
		    strcmp(a->list[i].why, b->list[i].why) ||
		    a->list[i].touches != b->list[i].touches)
			return false;
	return true;
}

bool findings_allow(const struct findings *findings, int family, int proto)
{
	uint8_t bit;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return false;
	if (family == AF_INET)
		bit = proto == IPPROTO_TCP ? FINDING_TCP4 : FINDING_UDP4;
	else if (family == AF_INET6)
		bit = proto == IPPROTO_TCP ? FINDING_TCP6 : FINDING_UDP6;
	else
		return false;
	return !(findings->touches & bit);
}
