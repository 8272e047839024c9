/** The generic verbs by name. */
import { negotiateObject } from '../http/negotiate.ts'
import { renderObject } from '../table/render.ts'
import type { Verb, VerbName } from './call.ts'
import { create } from './create.ts'
import { deleteCollection } from './delete-collection.ts'
import { deleteVerb } from './delete-object.ts'
import { get } from './get.ts'
import { list } from './list.ts'
import { patch } from './patch.ts'
import { update } from './update.ts'

export const VERBS: Readonly<Record<VerbName, Verb>> = {
  create: rendered(create), delete: rendered(deleteVerb), deletecollection: deleteCollection, get, list, patch: rendered(patch), update: rendered(update), watch: list,
}

/** A write's answer in the form that is accepted; nothing is written for who accepts none. */
function rendered(verb: Verb): Verb {
  return async (call) => {
    const format = negotiateObject(call.headers['accept'], call.row.model)
    return renderObject(call, await verb(call), format)
  }
}
