/**
 * The custom resources without types on npm, as far as deploy/ uses them. The types are closed: a misspelled field is an
 * error. Taken from the published definitions: Knative's eventing-kafka-broker 1.2x, Strimzi 1.x, CloudNativePG 1.2x, the
 * OT-Container-Kit Redis operator 0.2x.
 */
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSecurityContext } from 'kubernetes-models/v1/PodSecurityContext';
import type { IResourceRequirements } from 'kubernetes-models/v1/ResourceRequirements';

interface Resource<V extends string, K extends string, S> {
  readonly apiVersion: V;
  readonly kind: K;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: S;
}

/** A target of Knative: an addressable object, and a path below it. */
interface Destination {
  readonly ref: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace: string;
  };
  readonly uri?: `/${string}`;
  /** The audience of the sender's token. */
  readonly audience?: string;
}

interface FromSecret {
  readonly secretKeyRef: { readonly name: string; readonly key: string };
}

export type IKafkaSource = Resource<
  'sources.knative.dev/v1',
  'KafkaSource',
  {
    readonly bootstrapServers: readonly string[];
    readonly topics: readonly string[];
    readonly consumerGroup: string;
    readonly initialOffset: 'earliest' | 'latest';
    readonly ordering: 'ordered' | 'unordered';
    readonly net: {
      readonly sasl: {
        readonly enable: boolean;
        readonly type: FromSecret;
        readonly user: FromSecret;
        readonly password: FromSecret;
      };
    };
    readonly sink: Destination;
    readonly delivery: {
      readonly retry: number;
      readonly backoffPolicy: 'linear' | 'exponential';
      /** ISO 8601. */
      readonly backoffDelay: `PT${string}S`;
      readonly deadLetterSink?: Destination;
    };
  }
>;

export type IKafkaSink = Resource<
  'eventing.knative.dev/v1alpha1',
  'KafkaSink',
  {
    readonly bootstrapServers: readonly string[];
    readonly topic: string;
    readonly contentMode: 'binary' | 'structured';
    readonly auth: { readonly secret: { readonly ref: { readonly name: string } } };
  }
>;

export type IKafkaTopic = Resource<
  'kafka.strimzi.io/v1' | 'kafka.strimzi.io/v1beta2',
  'KafkaTopic',
  {
    readonly topicName: string;
    readonly partitions: number;
    readonly replicas: number;
    readonly config: {
      readonly 'cleanup.policy'?: 'delete' | 'compact';
      readonly 'retention.ms': number;
      readonly 'segment.bytes'?: number;
      readonly 'min.insync.replicas'?: number;
    };
  }
>;

export type IRedis = Resource<
  'redis.redis.opstreelabs.in/v1beta2',
  'Redis',
  {
    readonly kubernetesConfig: {
      readonly image: string;
      readonly imagePullPolicy: 'IfNotPresent' | 'Always';
      readonly resources: IResourceRequirements;
    };
    readonly podSecurityContext: IPodSecurityContext;
    readonly securityContext: NonNullable<IContainer['securityContext']>;
  }
>;

export type ICluster = Resource<
  'postgresql.cnpg.io/v1',
  'Cluster',
  {
    readonly imageName: string;
    readonly imagePullPolicy?: 'IfNotPresent' | 'Always';
    readonly inheritedMetadata?: { readonly annotations: Readonly<Record<string, string>> };
    readonly instances: number;
    readonly postgresql: {
      readonly synchronous: {
        readonly method: 'any' | 'first';
        readonly number: number;
        readonly dataDurability: 'required' | 'preferred';
      };
    };
    readonly bootstrap: {
      readonly initdb: {
        readonly database: string;
        readonly owner: string;
        readonly dataChecksums: boolean;
        readonly encoding: string;
        readonly postInitApplicationSQL: readonly string[];
      };
    };
    readonly storage: { readonly size: string; readonly storageClass?: string };
    readonly resources: IResourceRequirements;
  }
>;
