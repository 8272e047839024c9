/** The shapes of what is told of dynamic resources on the metrics page; names and bounds are upstream's. */

const [FIRST, LAST, COUNT] = [0.1, 40, 15]
/** In seconds; figured as client_golang does, for the last digit is told. */
export const DURATION_BOUNDS = Array.from({ length: COUNT }, (_, i) => FIRST * ((LAST / FIRST) ** (1 / (COUNT - 1))) ** i)

export const IN_USE_HELP = '[ALPHA] The number of ResourceClaims that are currently in use on the node, by driver name (driver_name label value) and across all drivers (special value <any> for driver_name). Note that the sum of all by-driver counts is not the total number of in-use ResourceClaims because the same ResourceClaim might use devices from different drivers. Instead, use the count for the <any> driver_name.'
export const OPERATIONS_HELP = '[ALPHA] Latency histogram in seconds for the duration of handling all ResourceClaims referenced by a pod when the pod starts or stops. Identified by the name of the operation (PrepareResources or UnprepareResources) and separated by the success of the operation. The number of failed operations is provided through the histogram\'s overall count.'
