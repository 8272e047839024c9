"""The Python client against a cluster: `python.py KUBECONFIG NAMESPACE POD`. Prints a line per check; exits 1 if one failed."""
import sys
import tempfile

from kubernetes import client, config, dynamic, stream, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, UnprocessibleEntityError

kubeconfig, shop, pod = sys.argv[1:4]
config.load_kube_config(kubeconfig)
core, apps, crds = client.CoreV1Api(), client.AppsV1Api(), client.ApiextensionsV1Api()
NAMESPACE = 'python'
DEFINITION = {
    'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition', 'metadata': {'name': 'snakes.clients.example.com'},
    'spec': {'group': 'clients.example.com', 'scope': 'Namespaced', 'names': {'plural': 'snakes', 'singular': 'snake', 'kind': 'Snake'},
             'versions': [{'name': 'v1', 'served': True, 'storage': True, 'subresources': {'status': {}, 'scale': {'specReplicasPath': '.spec.length', 'statusReplicasPath': '.status.length'}},
                           'schema': {'openAPIV3Schema': {'type': 'object', 'properties': {
                               'spec': {'type': 'object', 'properties': {'length': {'type': 'integer', 'maximum': 5, 'default': 1}}},
                               'status': {'type': 'object', 'properties': {'length': {'type': 'integer'}}}}}}}]},
}


def refused(code, call, *args, **named):
    try:
        call(*args, **named)
    except ApiException as error:
        assert error.status == code, error
    else:
        raise AssertionError(f'not refused with {code}')


def typed():
    made = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name='one'), data={'a': 'zwölf'}))
    assert core.read_namespaced_config_map('one', NAMESPACE).to_dict() == made.to_dict()
    assert core.patch_namespaced_config_map('one', NAMESPACE, {'data': {'b': '2'}}).data == {'a': 'zwölf', 'b': '2'}
    refused(409, core.replace_namespaced_config_map, 'one', NAMESPACE, made)
    refused(422, core.create_namespaced_pod, NAMESPACE, {'metadata': {'name': 'bad'}, 'spec': {'containers': []}})
    core.delete_namespaced_config_map('one', NAMESPACE)
    refused(404, core.read_namespaced_config_map, 'one', NAMESPACE)
    assert [n.status.node_info.os_image is not None for n in core.list_node().items] == [True]


def watched():
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, {'metadata': {'name': 'seen'}})
    core.delete_namespaced_config_map('seen', NAMESPACE)
    watcher = watch.Watch()
    seen = []
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=30):
        seen.append((event['type'], event['object'].metadata.name))
        if event['type'] == 'DELETED':
            watcher.stop()
    assert seen == [('ADDED', 'seen'), ('DELETED', 'seen')], seen


def custom():
    crds.create_custom_resource_definition(DEFINITION)
    for event in watch.Watch().stream(crds.list_custom_resource_definition, field_selector='metadata.name=snakes.clients.example.com', timeout_seconds=30):
        if any(c.type == 'Established' and c.status == 'True' for c in event['object'].status.conditions or []):
            break
    else:
        raise AssertionError('never established')
    snakes = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version='clients.example.com/v1', kind='Snake')
    body = {'apiVersion': 'clients.example.com/v1', 'kind': 'Snake', 'metadata': {'name': 's'}, 'spec': {'junk': 1}}
    made = snakes.create(body=body, namespace=NAMESPACE)
    assert made.to_dict()['spec'] == {'length': 1}, made
    for bad, error in ((dict(body, metadata={'name': 't'}, spec={'length': 9}), UnprocessibleEntityError), (body, ConflictError)):
        try:
            snakes.create(body=bad, namespace=NAMESPACE)
        except error:
            continue
        raise AssertionError(f'not refused: {bad}')
    snakes.scale.patch(name='s', namespace=NAMESPACE, body={'spec': {'replicas': 3}}, content_type='application/merge-patch+json')
    now = snakes.get(name='s', namespace=NAMESPACE)
    assert (now.spec.length, now.metadata.generation) == (3, 2), now
    assert snakes.status.patch(name='s', namespace=NAMESPACE, body={'status': {'length': 3}}, content_type='application/merge-patch+json').status.length == 3
    for event in snakes.watch(namespace=NAMESPACE, timeout=30):
        assert (event['type'], event['object'].metadata.name) == ('ADDED', 's')
        break
    assert client.CustomObjectsApi().get_namespaced_custom_object('clients.example.com', 'v1', NAMESPACE, 'snakes', 's')['spec'] == {'length': 3}
    snakes.delete(name='s', namespace=NAMESPACE)
    try:
        snakes.get(name='s', namespace=NAMESPACE)
    except NotFoundError:
        return
    raise AssertionError('still there')


def from_yaml():
    with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
        file.write(f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: y, namespace: {NAMESPACE}}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: y, namespace: {NAMESPACE}}}\nspec: {{replicas: 0, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: "busybox:1"}}]}}}}}}\n')
        file.flush()
        utils.create_from_yaml(client.ApiClient(), file.name)
    assert apps.read_namespaced_deployment('y', NAMESPACE).spec.strategy.rolling_update.max_surge == '25%'
    assert apps.patch_namespaced_deployment_scale('y', NAMESPACE, {'spec': {'replicas': 0}}).status.selector == 'a=b'


def executed():
    said = stream.stream(core.connect_get_namespaced_pod_exec, pod, shop, container='web', command=['sh', '-c', 'read line; echo got $line; echo err >&2; exit 4'], stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False)
    said.write_stdin('this\n')
    said.run_forever(timeout=30)
    assert (said.read_stdout(), said.read_stderr(), said.returncode) == ('got this\n', 'err\n', 4)
    assert core.read_namespaced_pod_log(pod, shop, container='side', limit_bytes=7) == 'tick 0\n'
    forwarded = stream.portforward(core.connect_get_namespaced_pod_portforward, pod, shop, ports='8080')
    socket = forwarded.socket(8080)
    socket.setblocking(True)
    socket.sendall(b'GET / HTTP/1.0\r\n\r\n')
    answer = b''
    while chunk := socket.recv(4096):
        answer += chunk
    assert answer.endswith(f'\r\n\r\n{pod}\n'.encode()) and forwarded.error(8080) is None, answer


core.create_namespace({'metadata': {'name': NAMESPACE}})
failed = 0
for check in (typed, watched, custom, from_yaml, executed):
    try:
        check()
        print('ok', check.__name__)
    except Exception as error:  # Whatever the client throws is what is to be told.
        failed += 1
        print(f'not ok {check.__name__}: {type(error).__name__} {error}')
core.delete_namespace(NAMESPACE)
sys.exit(failed > 0)
