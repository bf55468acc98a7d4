/** The address in what grpc-js says of who is connected, `address:port`; IPv6 stands there without brackets. */
export function addressOfPeer(peer: string): string {
  const end = peer.lastIndexOf(":");
  return end < 0 ? peer : peer.slice(0, end);
}
