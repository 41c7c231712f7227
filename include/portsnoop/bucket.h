/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What bpf/bucket.bpf.c tells user space about sockets, beyond what listing.h does: what
 * decides whether the kernel hands out their ports. Byte order, ports and addresses are
 * as in wire.h. Not part of a stream.
 */
#ifndef PORTSNOOP_BUCKET_H
#define PORTSNOOP_BUCKET_H

#include <portsnoop/wire.h>

enum bucket_flag {
	BUCKET_KNOWN = 1 << 0, /* the next one was read */
	/* A bind or a listen made it, or has a share in it: connect() passes the port by
	 * (fastreuse or fastreuseport not below 0: net/ipv4/inet_hashtables.c). */
	BUCKET_BIND = 1 << 1,
	BUCKET_V6ONLY = 1 << 2,
	BUCKET_STAMPED = 1 << 3, /* TIME_WAIT that has seen timestamps: tcp_tw_reuse applies */
	BUCKET_DELAY = 1 << 4,	 /* `age` is to exceed tcp_tw_reuse_delay (6.14), else 0 */
};

struct bucket_record {
	wire_u64 socket; /* address of struct sock, or of the TIME_WAIT bucket */
	wire_u32 netns;
	wire_u32 flags; /* enum bucket_flag */
	wire_u32 age;	/* ms, of TIME_WAIT */
	wire_u16 protocol;
	wire_u16 local_port;
	wire_u16 other_port; /* 0: no peer */
	wire_u16 own_low;    /* IP_LOCAL_PORT_RANGE; 0: as its network namespace */
	wire_u16 own_high;
	wire_u8 family; /* 4 or 6 */
	wire_u8 state;	/* net/tcp_states.h */
	wire_u8 local[16];
	wire_u8 other[16];
};

WIRE_ASSERT(sizeof(struct bucket_record) == 64, "bucket_record");

#endif
