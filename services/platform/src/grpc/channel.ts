import { Client, credentials } from "@grpc/grpc-js";
import type { TlsFiles } from "#platform/tls/tls-files.ts";
import { channelCredentials } from "./tls.ts";

/** Who opens a channel. */
interface Caller {
  readonly service?: string;
  readonly tls?: TlsFiles | undefined;
  readonly useProxy?: boolean | undefined;
}

/**
 * How calls are spread and repeated: every replica in turn, and up to three more attempts while a callee is away. The
 * throttle stops repetitions when more than about a tenth of the calls fail, so that they do not finish off a callee
 * that is already down.
 */
const serviceConfig = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.05s",
        maxBackoff: "1s",
        backoffMultiplier: 3,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
  retryThrottling: { maxTokens: 100, tokenRatio: 0.1 },
};

/**
 * A channel to one address. grpc-js connects when the first call is made.
 *
 * @param caller `service`: the process that calls, for the callee's audit log; it sees `ordermesh-<service>/1` as user
 * agent. `tls`: how it shows who it is; plain text when left out. `useProxy`: whether the proxy of the environment is asked to connect; not unless said
 */
export function openChannel(address: string, maxMessageBytes: number, { service, tls, useProxy }: Caller = {}): Client {
  // biome-ignore lint/plugin/tls: only where the settings name no certificates
  return new Client(address, tls ? channelCredentials(tls) : credentials.createInsecure(), {
    ...(service && { "grpc.primary_user_agent": `ordermesh-${service}/1` }),
    "grpc.service_config": JSON.stringify(serviceConfig),
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
    // http_proxy is set for what is outside; it knows nothing of the mesh.
    "grpc.enable_http_proxy": useProxy ? 1 : 0,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // A callee that was restarted is found again within seconds, not within the default two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 3_000,
    // Replicas come and go faster than by default, every 30 s, a name is looked up again.
    "grpc.dns_min_time_between_resolutions_ms": 1_000,
    // A peer that vanished without a word is noticed while calls wait for it.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
  });
}
