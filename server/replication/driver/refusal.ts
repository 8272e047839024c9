/** What callers of a replica hear when something was not done, and whether it may have happened all the same. */
import { CodedError } from '#base/errors.ts'
import type { Refusal } from '../../raft/types.ts'

const REFUSALS: Record<Refusal, readonly [code: string, message: string]> = {
  noLeader: ['RAFT_NO_LEADER', 'the cluster has no leader at the moment: try again; if it stays so, too few of its servers are up'],
  transferring: ['RAFT_TRANSFERRING', 'leadership is being handed over: try again in a moment'],
  overloaded: ['RAFT_OVERLOADED', 'too many writes wait for the servers of the cluster: try again in a moment'],
  diskFull: ['DISK_FULL', 'the disk of the leading server is full'],
  changing: ['RAFT_CHANGING', 'another change of the cluster’s members is under way, or the leader has only just begun: try again in a moment'],
  invalidChange: ['RAFT_INVALID_CHANGE', 'this change of members is not possible: a voter must remain, and ids and addresses must be valid'],
  unknown: ['RAFT_UNKNOWN', 'the leader was lost before it answered: the write may or may not have been made; read before trying again'],
}

export function refusalError(why: Refusal): CodedError {
  const [code, message] = REFUSALS[why]
  return new CodedError(code, message)
}

export function unknownError(): CodedError {
  return refusalError('unknown')
}

export function lostError(): CodedError {
  return new CodedError('RAFT_LOST', 'the leader was replaced before the write was on enough servers: it was not made')
}

export function stoppedError(): CodedError {
  return new CodedError('RAFT_STOPPED', 'this server is stopping')
}
