/** The least an HTTP server can do with a request: read its body, answer. Prints its port; the limit to measure against. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ANSWER = JSON.stringify({ workflowName: 'x'.repeat(30), namespace: 'argo', correlationId: 'x'.repeat(36) });

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.writeHead(202, { 'content-type': 'application/json', 'content-length': ANSWER.length });
    response.end(ANSWER);
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log((server.address() as AddressInfo).port);
});
