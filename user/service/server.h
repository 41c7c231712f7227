/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers `portsnoop who` while this process watches: a socket in /run/portsnoop that
 * everybody may connect to. Root, and the user that the server runs as, are told
 * everything, others of their own leases only. Once it is open it needs no privilege.
 *
 * It never waits for anybody and lives in the owner's loop: whenever server_fd() is
 * readable, call server_handle(), which does a bounded amount of work. Call it behind
 * what feeds the ledger, so that who asks after a claim is told of it.
 */
#ifndef PORTSNOOP_SERVICE_SERVER_H
#define PORTSNOOP_SERVICE_SERVER_H

#include "service/folder.h"
#include "service/reply.h"

#define SERVER_CLIENTS 16
#define SERVER_RESERVED 4	 /* of these, for who may see all */
#define SERVER_CLIENTS_OF_USER 4 /* of the others, for one user */
#define SERVER_PATIENCE_MS 10000 /* in this time a client has its answer, or is dropped */

struct server_options {
	struct service_source source;
	struct service_place place;
	unsigned int patience_ms; /* 0: SERVER_PATIENCE_MS */
};

struct server;

/*
 * 0, or negative errno: -EPERM for whoever is neither root nor the folder's owner. Without a
 * service everything else works, so none of them is worth a word: -EROFS, -EADDRINUSE
 * (another process namespace has a portsnoop of our pid), ... What the source refers to
 * must outlive the server.
 */
int server_open(const struct server_options *options, struct server **server);

/* Removes the socket. NULL does nothing. */
void server_close(struct server *server);

/* Readable when there is something to do. */
int server_fd(const struct server *server);

/* 0, or negative errno: it cannot go on, and is to be closed. */
int server_handle(struct server *server);

/* How many clients there are now. */
unsigned int server_clients(const struct server *server);

/* Takes over a connected socket, as if a process of this user had come. For tests; what
 * comes by the listening socket goes the same way. */
void server_admit(struct server *server, int fd, uid_t uid);

#endif
