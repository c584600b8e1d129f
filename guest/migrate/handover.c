/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handover of a guest: one owner at every instant, whatever gets lost or crashes.
 */
#include "guest/migrate/handover.h"

enum mig_msg mig_source_step(u8 *state, enum mig_source_event ev)
{
	switch (ev) {
	case MIG_EV_OFFER:
		if (*state == MIG_OWN)
			*state = MIG_OFFERED;
		return MIG_MSG_NONE;
	case MIG_EV_ABORT:
		if (*state == MIG_OFFERED)
			*state = MIG_OWN;
		return MIG_MSG_NONE;
	case MIG_EV_READY:
		if (*state != MIG_OFFERED)
			return MIG_MSG_NONE;
		*state = MIG_GIVEN;
		return MIG_MSG_GO;
	case MIG_EV_RETRY:
		return *state == MIG_GIVEN ? MIG_MSG_GO : MIG_MSG_NONE;
	case MIG_EV_TAKEN:
		if (*state == MIG_GIVEN)
			*state = MIG_GONE;
		/* Whoever holds nothing has nothing against its being forgotten. */
		return MIG_MSG_ACK;
	case MIG_EV_NOT:
	case MIG_EV_FORCE:
		if (*state == MIG_GIVEN)
			*state = MIG_OWN;
		return MIG_MSG_NONE;
	}
	return MIG_MSG_NONE;
}

enum mig_msg mig_dest_step(u8 *state, enum mig_dest_event ev)
{
	switch (ev) {
	case MIG_EV_LOADED:
		if (*state != MIG_LOADING)
			return MIG_MSG_NONE;
		*state = MIG_READY;
		return MIG_MSG_READY;
	case MIG_EV_DROP:
		if (*state == MIG_LOADING || *state == MIG_READY)
			*state = MIG_NOTHING;
		return MIG_MSG_NONE;
	case MIG_EV_GO:
		if (*state == MIG_TAKEN)
			return MIG_MSG_TAKEN;
		return *state == MIG_NOTHING ? MIG_MSG_NOT : MIG_MSG_NONE;
	case MIG_EV_STARTED:
		if (*state != MIG_READY)
			return MIG_MSG_NONE;
		*state = MIG_TAKEN;
		return MIG_MSG_TAKEN;
	case MIG_EV_START_FAILED:
		if (*state != MIG_READY)
			return MIG_MSG_NONE;
		*state = MIG_NOTHING;
		return MIG_MSG_NOT;
	case MIG_EV_ACK:
		if (*state == MIG_TAKEN)
			*state = MIG_NOTHING;
		return MIG_MSG_NONE;
	}
	return MIG_MSG_NONE;
}
