import Foundation
import TestBed
import Testing

/// Somebody who does what README.md's page says, with addresses and secrets of their own.
struct ReadmeReader {
  let page: Readme
  private let bed: Bed
  private let file: String
  private let replacements: [(String, String)]

  /// Puts the page's `clouds.yaml` in place.
  init(
    _ page: Readme, bed: Bed, url: String, keystone: String? = nil, password: String = Cloud.password,
    token: String = "", credential: (id: String, secret: String) = ("", "")
  ) throws {
    self.page = page
    self.bed = bed
    let clouds = try #require(page.texts.first { $0.hasPrefix("clouds:") })
    replacements = [
      ("http://127.0.0.1:8776", url), ("http://pumice:8776", url), ("http://keystone:5000/v3", keystone ?? ""),
      ("her password", password), ("the token", token),
      ("the id", credential.id), ("the secret", credential.secret), ("--password-prompt", "--password \(password)"),
    ]
    file = try bed.folder.write(Self.fitted(clouds, to: replacements), to: "clouds.yaml")
  }

  /// What the page says, as it reads for this reader.
  func fitted(_ text: String) -> String { Self.fitted(text, to: replacements) }

  private static func fitted(_ text: String, to replacements: [(String, String)]) -> String {
    replacements.reduce(text) { $0.replacing($1.0, with: $1.1) }
  }

  /// For `openstack --os-cloud …`, many in one process.
  var walk: Walk { Walk(bed: bed, client: .openstack, environment: ["OS_CLIENT_CONFIG_FILE": file]) }

  func openstack(_ words: String) async throws -> String {
    let clients = try await Clients.folder(in: bed)
    return try await bed.run(
      ["\(clients)/bin/openstack"] + words.split(separator: " ").map(String.init),
      environment: ["OS_CLIENT_CONFIG_FILE": file], within: .seconds(60))
  }
}
