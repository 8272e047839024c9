/** The query and path parameters of the API, by name: one table for both OpenAPI versions. */
export interface Parameter { name: string; in: 'query' | 'path'; type: 'string' | 'integer' | 'boolean'; description: string }

const query = (type: Parameter['type'], description: string): Omit<Parameter, 'name'> => ({ in: 'query', type, description })
const path = (description: string): Omit<Parameter, 'name'> => ({ in: 'path', type: 'string', description })

const PARAMETERS = {
  allowWatchBookmarks: query('boolean', 'allowWatchBookmarks requests watch events with type "BOOKMARK". Bookmarks are sent at the server\'s discretion. Clients should not assume bookmarks are returned at any specific interval. If this is not a watch, this field is ignored.'),
  continue: query('string', 'The continue option should be set when retrieving more results from the server. Clients may only use the continue value of a previous query with identical parameters (except limit). If it is no longer valid because the data it was made from is gone (five to fifteen minutes), the server answers 410 ResourceExpired with a new token from which an inconsistent list may be continued. Not supported when watch is true.'),
  dryRun: query('string', 'When present, indicates that modifications should not be persisted. An invalid or unrecognized dryRun directive will result in an error response and no further processing of the request. Valid values are: - All: all dry run stages will be processed'),
  fieldManager: query('string', 'fieldManager is a name associated with the actor or entity that is making these changes, at most 128 printable characters. Required for apply requests (application/apply-patch), optional otherwise.'),
  fieldSelector: query('string', 'A selector to restrict the list of returned objects by their fields. Defaults to everything.'),
  fieldValidation: query('string', 'fieldValidation instructs the server on how to handle unknown or duplicate fields in the request (POST/PUT/PATCH). Ignore: drop them silently, the last duplicate wins. Warn (default): as Ignore, and send a warning header for each. Strict: fail the request with a BadRequest error that names them all.'),
  force: query('boolean', 'Force is going to "force" Apply requests. It means user will re-acquire conflicting fields owned by other people. Force flag must be unset for non-apply patch requests.'),
  gracePeriodSeconds: query('integer', 'The duration in seconds before the object should be deleted. Value must be a non-negative integer. Zero indicates delete immediately. If nil, the default grace period for the type is used.'),
  ignoreStoreReadErrorWithClusterBreakingPotential: query('boolean', 'If set to true, an object whose stored form cannot be read any more is deleted all the same, without finalizers, preconditions or dependents being looked at. Not together with other options.'),
  labelSelector: query('string', 'A selector to restrict the list of returned objects by their labels. Defaults to everything.'),
  limit: query('integer', 'limit is a maximum number of responses to return for a list call. If more items exist, the server sets the continue field of the list metadata to a value with which the same query retrieves the next set. Not supported when watch is true.'),
  orphanDependents: query('boolean', 'Deprecated: please use the PropagationPolicy. Should the dependent objects be orphaned.'),
  propagationPolicy: query('string', "Whether and how garbage collection will be performed: 'Orphan' - orphan the dependents; 'Background' - allow the garbage collector to delete the dependents in the background; 'Foreground' - a cascading policy that deletes all dependents in the foreground."),
  pretty: query('string', "If 'true', then the output is pretty printed."),
  resourceVersion: query('string', 'resourceVersion sets a constraint on what resource versions a request may be served from. Defaults to unset.'),
  resourceVersionMatch: query('string', 'resourceVersionMatch determines how resourceVersion is applied to list calls. Defaults to unset.'),
  sendInitialEvents: query('boolean', '`sendInitialEvents=true` may be set together with `watch=true`. The watch stream then begins with synthetic events for the current state of the collection, followed by a bookmark with the annotation `"k8s.io/initial-events-end": "true"`. Needs `resourceVersionMatch`.'),
  shardSelector: query('string', 'A part of the collection, by hash of a field: shardRange(object.metadata.uid, "0x0", "0x8000000000000000") and its like, joined by ||. Objects outside it are left out (KEP-5866).'),
  timeoutSeconds: query('integer', 'Timeout for the list/watch call. This limits the duration of the call, regardless of any activity or inactivity.'),
  watch: query('boolean', 'Watch for changes to the described resources and return them as a stream of add, update, and remove notifications. Specify resourceVersion.'),
  container: query('string', 'The container of the pod. Defaults to the only container if there is one.'),
  command: query('string', 'Command is the remote command to execute. argv array. Not executed within a shell.'),
  stdin: query('boolean', 'Redirect the standard input stream of the pod for this call. Defaults to false.'),
  stdout: query('boolean', 'Redirect the standard output stream of the pod for this call.'),
  stderr: query('boolean', 'Redirect the standard error stream of the pod for this call.'),
  tty: query('boolean', 'TTY if true indicates that a tty will be allocated for the call. Defaults to false.'),
  ports: query('integer', 'List of ports to forward. Required when using WebSockets.'),
  follow: query('boolean', 'Follow the log stream of the pod. Defaults to false.'),
  insecureSkipTLSVerifyBackend: query('boolean', 'The serving certificate of the backend is not verified.'),
  limitBytes: query('integer', 'If set, the number of bytes to read from the server before terminating the log output.'),
  previous: query('boolean', 'Return previous terminated container logs. Defaults to false.'),
  sinceSeconds: query('integer', 'A relative time in seconds before the current time from which to show logs.'),
  stream: query('string', 'Which container log stream to return: "All", "Stdout" and "Stderr". Defaults to "All".'),
  tailLines: query('integer', 'The number of lines from the end of the logs to show.'),
  timestamps: query('boolean', 'If true, add an RFC3339 timestamp at the beginning of every line of log output. Defaults to false.'),
  namespace: path('object name and auth scope, such as for teams and projects'),
  path: path('path to the resource'),
} as const satisfies Record<string, Omit<Parameter, 'name'>>

export type ParameterName = keyof typeof PARAMETERS

export const parameter = (name: ParameterName): Parameter => ({ name, ...PARAMETERS[name] })
/** `{name}` in a path: it says of which kind. */
export const nameParameter = (kind: string): Parameter => ({ name: 'name', ...path(`name of the ${kind}`) })
/** The path proxied to, as a query. */
export const proxyPathParameter = (what: string): Parameter => ({ name: 'path', ...query('string', `Path is the URL path to use for the current proxy request to ${what}.`) })
