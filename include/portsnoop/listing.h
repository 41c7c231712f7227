/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What bpf/lookup.bpf.c and user space tell each other: which sockets are asked for,
 * one record for each descriptor that leads to one, and where tasks are. Byte order, ports and
 * addresses are as in wire.h. Not part of a stream.
 */
#ifndef PORTSNOOP_LISTING_H
#define PORTSNOOP_LISTING_H

#include <portsnoop/wire.h>

struct listing_query {
	wire_u32 netns;		  /* inode number; 0: any */
	wire_u32 protocol;	  /* IPPROTO_*, TCP stands for MPTCP as well; 0: any */
	wire_u8 ports[65536 / 8]; /* bit n & 7 of byte n >> 3 */
};

struct listing_record {
	wire_u64 socket; /* address of struct sock */
	wire_u64 inode;	 /* of the socket's file */
	wire_u64 start;	 /* process: start time, CLOCK_BOOTTIME */
	wire_u32 netns;	 /* of the socket */
	wire_u32 owner;	 /* uid of the socket */
	wire_u32 device;
	wire_u32 flags; /* enum wire_flag */
	wire_u32 pid;	/* thread group, in the pid namespace of the reader */
	wire_u32 uid;	/* real uid of the process, initial user namespace */
	wire_u32 fd;
	wire_u16 protocol;
	wire_u16 local_port;
	wire_u16 other_port; /* 0: no peer */
	wire_u8 family;	     /* 4 or 6 */
	wire_u8 state;	     /* net/tcp_states.h */
	wire_u8 local[16];
	wire_u8 other[16];
	char comm[WIRE_COMM]; /* of the thread group leader */
	wire_u8 zero[4];
};

/* A task and the network namespace that it is in: every process, and those of its
 * threads that went elsewhere. */
struct listing_namespace {
	wire_u32 netns;
	wire_u32 pid; /* in the pid namespace of the reader */
};

WIRE_ASSERT(sizeof(struct listing_query) == 8200, "listing_query");
WIRE_ASSERT(sizeof(struct listing_record) == 112, "listing_record");

#endif
