public import Logging
public import PumiceModel

/// What an operator says about one agent: `Config/agent.yaml`, over it the environment, over that flags.
public struct AgentConfiguration: Sendable, Equatable {
  /// What can be set as one value: in the file, as `PUMICE_AGENT_…` in the environment, and by a flag.
  ///
  /// Lists are for the file; `exporter.portals` may be given elsewhere with commas.
  public enum Key: String, Sendable, CaseIterable {
    case name, listen, address, coordinator
    case joinTokenFile = "join_token_file"
    case tokenFile = "token_file"
    case stateDirectory = "state_directory"
    case availabilityZone = "availability_zone"
    case reportInterval = "report_interval"
    case logLevel = "log_level"
    case initiatorName = "initiator_name"
    case exporterKind = "exporter.kind"
    case exporterSocket = "exporter.ipc_socket"
    case exporterPortals = "exporter.portals"
    case exporterStart = "exporter.start"
    case exporterTargetPrefix = "exporter.target_prefix"
    case hypervisorKind = "hypervisor.kind"
    case hypervisorURI = "hypervisor.uri"
    case hypervisorConnector = "hypervisor.connector"
    case hypervisorNFSConnector = "hypervisor.nfs_connector"
    case nfsMountBase = "nfs_mount_base"
    case tlsCertificate = "tls.certificate"
    case tlsKey = "tls.key"
    case tlsAuthority = "tls.ca"

    /// Such as `PUMICE_AGENT_EXPORTER_KIND`.
    public var environmentVariable: String {
      Self.environmentPrefix + rawValue.uppercased().split(separator: ".").joined(separator: "_")
    }

    static let environmentPrefix = "PUMICE_AGENT_"
  }

  public struct Exporter: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable { case lio, tgt, memory, none }

    public var kind: Kind
    /// tgtd's management socket, control port included.
    public var socketPath: String
    public var portals: [String]
    /// Whether the agent starts tgtd when nobody answers on the socket.
    public var startsDaemon: Bool
    /// Targets are called `prefix:volume-UUID`.
    public var targetPrefix: String
  }

  public struct Hypervisor: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable { case libvirt, host, memory, none }

    /// Who logs in to targets.
    public enum Connector: String, Sendable, CaseIterable {
      case qemu = "iscsi-qemu"
      case kernel = "iscsi-kernel"
    }

    /// Who opens files of shares.
    public enum NFSConnector: String, Sendable, CaseIterable {
      /// The kernel where this agent can mount, else QEMU.
      case auto
      case mount = "nfs-mount"
      case qemu = "nfs-qemu"
    }

    public var kind: Kind
    public var uri: String
    public var connector: Connector
    public var nfsConnector: NFSConnector

    public init(kind: Kind, uri: String, connector: Connector = .qemu, nfsConnector: NFSConnector = .auto) {
      self.kind = kind
      self.uri = uri
      self.connector = connector
      self.nfsConnector = nfsConnector
    }
  }

  public struct TLS: Sendable, Equatable {
    /// PEM, with intermediates; with `key`, the agent serves https.
    public var certificate: String?
    public var key: String?
    /// PEM: by whom the coordinator's certificate must be signed.
    public var authority: String?
  }

  public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    /// Whether it stands for every address of the machine.
    var isEverywhere: Bool { host == "0.0.0.0" || host == "::" }
  }

  public var name: NodeName
  public var listen: ListenAddress
  /// Where the coordinator reaches this agent.
  public var address: String
  /// `nil`: the agent reports to nobody.
  public var coordinator: String?
  public var joinTokenFile: String?
  /// What callers have to show; the join token's file if not set.
  public var tokenFile: String
  public var stateDirectory: String
  public var availabilityZone: String
  public var reportInterval: Duration
  public var logLevel: Logger.Level
  public var initiatorName: String?
  public var backends: [BackendConfiguration]
  public var exporter: Exporter
  public var hypervisor: Hypervisor
  public var tls: TLS
  /// Shares are mounted in it, each in a folder named after it.
  public var nfsMountBase: String

  var shareMounts: ShareMounts.Places { ShareMounts.Places(base: nfsMountBase) }

  public var identity: NodeIdentity {
    NodeIdentity(name: name, address: address, availabilityZone: availabilityZone)
  }

  /// The initiator name of a node that was given none.
  static func initiatorName(for node: NodeName) -> String {
    let plain = node.lowercased().map {
      $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "-"
    }
    return "iqn.2026-11.io.pumice:node-\(String(plain))"
  }
}
