/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map and every variable that outlives a program's run. */
#ifndef PORTSNOOP_MAPS_BPF_H
#define PORTSNOOP_MAPS_BPF_H

const volatile struct config config;

/* Set by the reader before it sleeps on the ring. Whoever submits the next record
 * clears it and wakes the reader; all others submit in silence. */
u32 reader_asleep;

/* Set before the last reading of the tally: nothing is counted any more. */
u32 tally_stopped;

/* Size: the loader's choice. At 150,000 claims a second of 152 bytes each 8 MiB
 * hold a third of a second. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the loader's: possible CPUs */
	__type(key, u32);
	__type(value, struct cpu_counters);
} counters SEC(".maps");

/* A call on its way through the kernel, by thread, and what came of it. */
struct call {
	u64 sk;	     /* the socket that takes the port */
	u64 picked;  /* argument of the allocator, for tiers whose return hook lacks it */
	u32 error;   /* positive */
	u32 flags;   /* enum wire_flag: what the hook that sends it found */
	u64 address; /* of its sockaddr; 0: none, or already taken in */
	u32 length;
	u16 other_port;
	u8 other_family; /* AF_* of other; OTHER_UNSPEC; 0: not read yet */
	u8 trigger;	 /* enum wire_trigger */
	u8 other[16];
	u8 had_port;   /* the socket had a port when the call came in */
	u8 state;      /* TCP state then */
	u8 collecting; /* a connect that asks how an earlier one went */
	u8 picking;    /* TCP connect came as far as the choice of a port */
	u8 closed;     /* and fell back: the error is the call's */
	u8 emitted;    /* another hook has sent it already */
	u8 copied;     /* address is the kernel's copy, not the program's memory */
	u8 zero;
};

/* AF_UNSPEC is 0 and so needs a value of its own. */
#define OTHER_UNSPEC 255
#define OTHER_UNREADABLE 254

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONFIG_CALLS);
	__type(key, u64); /* address of the task: sockops has no other name for it before 6.10 */
	__type(value, struct call);
} calls SEC(".maps");

/* What a bind asks for, when no syscall told us (io_uring, 32-bit callers, the
 * kernel itself): from the check of the address to the end of the same bind. A
 * bind that fails leaves its entry behind, hence the LRU. */
struct attempt {
	u64 sk;
	u16 port;
	u8 family;
	u8 zero[5];
	u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONFIG_ATTEMPTS);
	__type(key, u64); /* address of the task */
	__type(value, struct attempt);
} attempts SEC(".maps");

/* A process at a call, as events name it. */
struct owner {
	u64 start;
	u64 cgroup;
	u32 pid; /* 0: unknown */
	u32 tid;
	u32 uid;
	u32 exec;
	char comm[WIRE_COMM];
};

/* A socket that claimed a port, from its first claim to its destruction. It may
 * hold several ports one after the other. */
struct lease {
	u64 socket; /* generation number */
	u64 time;   /* of the claim; 0: it was before our time */
	u64 called; /* start of the connect that is under way */
	struct owner claimant;
	struct owner connector; /* who the outcome of a connect belongs to */
	u32 netns;
	u16 port;
	u8 held;	    /* has a port now */
	u8 connecting;	    /* TCP connect without an answer so far */
	u8 trigger;	    /* of the claim */
	u8 connect_trigger; /* connect or send (fast open) */
	u8 origin;
	u8 lingers;	    /* WIRE_TIME_WAIT and WIRE_ESTIMATED, moved down by LINGERS_SHIFT */
	u8 claimant_passes; /* the filter's conditions about processes */
	u8 connector_passes;
	u8 zero[2];
};

#define LINGERS_SHIFT 12

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONFIG_SOCKETS);
	__type(key, u64); /* struct sock's address */
	__type(value, struct lease);
} sockets SEC(".maps");

/* What is to be said when a TIME_WAIT bucket goes, by the bucket's address: of the
 * socket itself nothing is left then. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONFIG_TIME_WAIT);
	__type(key, u64);
	__type(value, struct wire_event);
} time_waits SEC(".maps");

/* What a port is counted under, from its claim to its end: by struct sock's address, and
 * while it lingers by the TIME_WAIT bucket's. */
struct tally_socket {
	struct tally_key key;
	struct tally_place place;
	u64 claimed; /* time; 0: given back */
	u32 flags;   /* TALLY_* below */
	u32 zero;
};

#define TALLY_HAS_PLACE (1 << 0)
#define TALLY_ROW_REST (1 << 1)	  /* its claim is counted in tally_overflow */
#define TALLY_PLACE_REST (1 << 2) /* the same for its place */
#define TALLY_SOURCE (1 << 3)	  /* none of the above: place.local alone, for tally_call() */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONFIG_SOCKETS);
	__type(key, u64);
	__type(value, struct tally_socket);
} tally_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, CONFIG_TALLY_ROWS);
	__type(key, struct tally_key);
	__type(value, struct tally_counts);
} tally_claims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, CONFIG_TALLY_ROWS);
	__type(key, struct tally_place);
	__type(value, struct tally_counts);
} tally_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, CONFIG_TALLY_ERRORS);
	__type(key, struct tally_error);
	__type(value, u64);
} tally_errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONFIG_TALLY_ROWS);
	__type(key, struct tally_process);
	__type(value, struct tally_name);
} tally_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONFIG_TALLY_CGROUPS);
	__type(key, u64); /* id of the cgroup */
	__type(value, struct tally_path);
} tally_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TALLY_RESTS);
	__type(key, u32); /* enum tally_rest */
	__type(value, struct tally_counts);
} tally_overflow SEC(".maps");

/* What a new row begins with: too large for the stack. */
struct tally_blank {
	struct tally_counts counts;
	struct tally_path path;
} tally_blank = {.path.flags = TALLY_PATH_UNFINISHED};

/* Processes whose record was submitted. An LRU: the cost of forgetting one is a
 * second record. With a filter for names, also those that made a call which did not
 * pass. */
struct process_mark {
	u64 start;
	u32 exec;
	u32 root; /* as in the record */
	u32 submitted;
	u32 zero;
	char comm[WIRE_COMM]; /* at its first call; with a filter for names only */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONFIG_PROCESSES);
	__type(key, u32); /* tgid */
	__type(value, struct process_mark);
} processes SEC(".maps");

/* The traced command and its descendants: tgid -> start time, because a number
 * may be used again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONFIG_TREE);
	__type(key, u32);
	__type(value, u64);
} tree SEC(".maps");

/* The processes of --pid and their descendants. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONFIG_TREE);
	__type(key, u32);
	__type(value, struct config_followed);
} followed SEC(".maps");

/* The values of a filter's conditions. The loader makes them as large as they have to
 * be and fills them before the first hook is on. */

struct filter_ports {
	u8 bits[65536 / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct filter_ports);
} filter_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64); /* CONFIG_NUMBER() */
	__type(value, u8);
} filter_numbers SEC(".maps");

struct filter_name {
	char text[WIRE_COMM];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct filter_name);
	__type(value, u8);
} filter_names SEC(".maps");

/* Each component of the paths of all --cgroup, and where it stands: bit n is the n-th
 * of them, a path counted from its last component to its first. */
struct filter_component {
	char text[CONFIG_COMPONENT];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct filter_component);
	__type(value, u64);
} filter_components SEC(".maps");

#endif
