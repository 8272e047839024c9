/** The generic verbs by name. */
import type { Verb, VerbName } from './call.ts'
import { create } from './create.ts'
import { deleteCollection } from './delete-collection.ts'
import { deleteVerb } from './delete-object.ts'
import { get } from './get.ts'
import { list } from './list.ts'
import { patch } from './patch.ts'
import { update } from './update.ts'

export const VERBS: Readonly<Record<VerbName, Verb>> = { create, delete: deleteVerb, deletecollection: deleteCollection, get, list, patch, update, watch: list }
