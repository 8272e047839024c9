/** Tests of upstream's 1.20 that fail, each with its reason: 1.36 does it differently, or this machine cannot do it. */
export interface Expected {
  /** What the test's full name contains. */
  readonly name: string
  readonly reason: string
}

const NO_CREATION_TIME = '1.20 compares the revision byte for byte with a template that says creationTimestamp: null, which is left out since 1.34'

export const EXPECTED: readonly Expected[] = [
  { name: 'CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema', reason: 'wants the words of kubectl\'s own validation: passes with kubectl 1.20, not with one that lets the server validate (1.25 and newer)' },
  { name: 'kubectl explain works for CR with the same resource name as built-in object', reason: 'flaky upstream: newer versions of kubectl do not look for short names anew' },
  { name: 'Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate', reason: NO_CREATION_TIME },
  { name: 'Daemon set [Serial] should not update pod when spec was updated and update strategy is OnDelete', reason: NO_CREATION_TIME },
  { name: 'Job should fail when exceeds active deadline', reason: 'a Job has failed when its pods have ended since 1.31: they take their 30 s of grace, the test waits 11 s' },
  { name: 'SchedulerPriorities [Serial] Pod should avoid nodes that have avoidPod annotation', reason: 'the annotation means nothing since 1.24' },
  { name: '[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed', reason: 'it patches the note, which may not change through events.k8s.io/v1 since 1.23' },
  { name: 'MetricsGrabber', reason: 'scheduler and controllers are parts of the server: there are no pods of theirs to ask' },
  { name: '[Feature:NodeAuthenticator]', reason: 'agents listen on no port: what a kubelet serves goes through their own connection to the server' },
]
