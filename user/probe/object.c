/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/object.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

/* The object's file, built into the program as it is. The symbols are global: local
 * ones of one section may share a slot in arm64's offset table. */
__asm__(".pushsection .rodata.bpf_object,\"a\",@progbits\n"
	".balign 8\n"
	".globl bpf_object_start, bpf_object_end\n"
	"bpf_object_start:\n"
	".incbin \"" PORTSNOOP_BPF_OBJECT "\"\n"
	"bpf_object_end:\n"
	".popsection\n");
extern const char bpf_object_start[] __attribute__((visibility("hidden")));
extern const char bpf_object_end[] __attribute__((visibility("hidden")));

#ifndef BPF_FETCH /* headers before 5.12 */
#define BPF_FETCH 0x01
#endif
#define CODE_ATOMIC_DW (BPF_STX | 0xc0 | BPF_DW)
#define CODE_ATOMIC_W (BPF_STX | 0xc0 | BPF_W)
#define CODE_LOAD_IMM64 (BPF_LD | BPF_IMM | BPF_DW)

static int section_remove_fetch(struct bpf_insn *insn, size_t count)
{
	int changed = 0;

	for (size_t i = 0; i < count; i++) {
		if (insn[i].code == CODE_LOAD_IMM64) {
			i++; /* its second half is no instruction */
		} else if ((insn[i].code == CODE_ATOMIC_DW || insn[i].code == CODE_ATOMIC_W) &&
			   insn[i].imm == (BPF_ADD | BPF_FETCH)) {
			insn[i].imm = BPF_ADD;
			changed++;
		}
	}
	return changed;
}

int object_remove_fetch(void *elf, size_t size)
{
	Elf_Scn *section = NULL;
	int changed = 0;
	Elf *file;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EINVAL;
	file = elf_memory(elf, size);
	if (!file)
		return -EINVAL;
	if (elf_kind(file) != ELF_K_ELF) {
		elf_end(file);
		return -EINVAL;
	}
	while ((section = elf_nextscn(file, section))) {
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			continue;
		if (header.sh_type != SHT_PROGBITS || !(header.sh_flags & SHF_EXECINSTR))
			continue;
		if (header.sh_offset > size || header.sh_size > size - header.sh_offset)
			continue;
		changed += section_remove_fetch((void *)((char *)elf + header.sh_offset),
						header.sh_size / sizeof(struct bpf_insn));
	}
	elf_end(file);
	return changed;
}

struct bpf_object *object_open(bool fetch)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "portsnoop");
	struct bpf_object *object;
	size_t size = bpf_object_end - bpf_object_start;
	void *copy = malloc(size);

	if (!copy)
		return NULL;
	memcpy(copy, bpf_object_start, size);
	if (!fetch)
		object_remove_fetch(copy, size);
	object = bpf_object__open_mem(copy, size, &options);
	free(copy); /* libbpf has taken what it needs */
	return object;
}
