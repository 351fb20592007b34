import ArgumentParser

#if canImport(Glibc)
  import Glibc
#endif

/// Where the coordinator is, and as whom to speak with it.
struct ConnectionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The coordinator (PUMICE_URL; http://127.0.0.1:8776).", valueName: "url"))
  var url: String?

  @Option(
    help: ArgumentHelp("The token (PUMICE_TOKEN, which other users of this machine can't see).", valueName: "token"))
  var token: String?

  @Option(help: ArgumentHelp("The project to work in (PUMICE_PROJECT; admin).", valueName: "project"))
  var project: String?

  func validate() throws {
    let url = Self.first(url, "PUMICE_URL", Self.defaultURL)
    guard url.hasPrefix("http://") || url.hasPrefix("https://"), !url.contains(where: \.isWhitespace) else {
      throw ValidationError("\"\(url)\" is not a coordinator's URL, such as \(Self.defaultURL).")
    }
    guard !Self.withoutTrailingSlashes(url).dropFirst(8).contains("/") else {
      throw ValidationError(
        "\"\(url)\" has a path; the coordinator's URL ends with the port, as in \(Self.defaultURL).")
    }
    let project = Self.first(project, "PUMICE_PROJECT", "admin")
    guard !project.contains("/"), project.utf8.count <= 255 else {
      throw ValidationError("\"\(project)\" can't be a project.")
    }
  }

  var client: CoordinatorClient {
    let url = Self.withoutTrailingSlashes(Self.first(url, "PUMICE_URL", Self.defaultURL))
    let token = Self.first(token, "PUMICE_TOKEN", "")
    return CoordinatorClient(
      url: String(url), project: Self.first(project, "PUMICE_PROJECT", "admin"), token: token.isEmpty ? nil : token)
  }

  private static let defaultURL = "http://127.0.0.1:8776"

  private static func withoutTrailingSlashes(_ url: String) -> Substring {
    url.prefix(upTo: url.lastIndex { $0 != "/" }.map(url.index(after:)) ?? url.startIndex)
  }

  /// The option, else the variable, else the default; empty ones count as not given.
  private static func first(_ option: String?, _ variable: String, _ otherwise: String) -> String {
    if let option, !option.isEmpty { return option }
    if let value = getenv(variable) {
      let text = String(cString: value)
      if !text.isEmpty { return text }
    }
    return otherwise
  }
}
