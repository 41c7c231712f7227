// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel side, in reading order. What happened (call, outcome, release) does
 * not know which tier saw it; a tier's file holds thin wrappers only.
 */
#include "vmlinux.h"
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <portsnoop/config.h>
#include <portsnoop/tally.h>
#include <portsnoop/wire.h>

/* Helpers that trace are for programs under a licence compatible with the GPL;
 * the kernel knows this dual licence by the name that it has for it. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "compat.bpf.h"
#include "maps.bpf.h"
#include "emit.bpf.h"
#include "tree.bpf.h"
#include "process.bpf.h"
#include "address.bpf.h"
#include "socket.bpf.h"
#include "filter.bpf.h"
#include "tally.bpf.h"
#include "claim.bpf.h"
#include "outcome.bpf.h"
#include "release.bpf.h"
#include "call.bpf.h"
#include "state.bpf.h"
#include "tier_fentry.bpf.h"
#include "tier_kprobe.bpf.h"
#include "tier_tracepoint.bpf.h"
#include "snapshot.bpf.h"
