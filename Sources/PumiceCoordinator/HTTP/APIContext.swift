import HTTPTypes
import Hummingbird
import Logging
import PumiceModel
import Synchronization

/// What goes with a request from the first byte to the access log.
struct APIContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  /// What the user may quote to the operator: `req-` and a UUID, in every answer and every log line.
  let requestID: String
  /// Who it turned out to be, for the access log.
  let identity = Identity()

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    requestID = "req-\(Identifier<APIContext>.random())"
    var logger = self.logger
    logger[metadataKey: "request.id"] = "\(requestID)"
    logger[metadataKey: "hb.request.id"] = nil
    self.logger = logger
  }
}

/// Filled in once the caller is known, deep within.
final class Identity: Sendable {
  private let known = Mutex<Caller?>(nil)

  var caller: Caller? {
    get { known.withLock { $0 } }
    set { known.withLock { $0 = newValue } }
  }
}

extension HTTPField.Name {
  static let requestID = Self(constant: "X-Openstack-Request-Id")
  static let authToken = Self(constant: "X-Auth-Token")
  /// Another service's, which vouches for the request.
  static let serviceToken = Self(constant: "X-Service-Token")
  static let subjectToken = Self(constant: "X-Subject-Token")
  static let projectID = Self(constant: "X-Project-Id")
  static let apiVersion = Self(constant: "OpenStack-API-Version")
  static let novaAPIVersion = Self(constant: "X-OpenStack-Nova-API-Version")
  /// The code of a `StorageError`, for our own programs.
  static let errorCode = Self(constant: "X-Pumice-Error")

  /// - Precondition: the text is a token as of RFC 9110.
  private init(constant: String) {
    guard let name = Self(constant) else { preconditionFailure("\(constant) is no name of a header.") }
    self = name
  }
}
