/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { EVENT_TTL_SECONDS, eventFromStored, eventsV1Strategy, eventToStored } from '../kinds/event.ts'
import { row } from './row.ts'

export const eventsRows: readonly KindRow[] = [
  row(R.EVENTS_V1, eventsV1Strategy, {
    short: ['ev'], model: 'EventsV1Event', durability: () => 'lazy', ttlSeconds: EVENT_TTL_SECONDS,
    storedAs: {
      ref: R.EVENTS,
      model: 'CoreV1Event',
      toStored: (view) => eventToStored(view as Parameters<typeof eventToStored>[0]),
      fromStored: (stored) => eventFromStored(stored as Parameters<typeof eventFromStored>[0]),
    },
  }),
]
