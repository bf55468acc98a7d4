package ordermesh;

import java.io.IOException;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.core.CheckedFunction;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xpack.core.ilm.*;

/**
 * Stands in for two modules that exist only inside Elastic's archive: the one that answers GET /, which every client
 * asks first, and the one of lifecycles, of which it has the index setting and the check of a policy. It executes none.
 */
public final class StandInPlugin extends Plugin implements ActionPlugin {
  @Override
  public List<Setting<?>> getSettings() {
    return List.of(Setting.simpleString("index.lifecycle.name", Setting.Property.Dynamic, Setting.Property.IndexScope));
  }

  @Override
  public List<NamedXContentRegistry.Entry> getNamedXContent() {
    return List.of(
        new NamedXContentRegistry.Entry(
            LifecycleType.class, new ParseField(TimeseriesLifecycleType.TYPE), p -> TimeseriesLifecycleType.INSTANCE),
        action(RolloverAction.NAME, RolloverAction::parse),
        action(SetPriorityAction.NAME, SetPriorityAction::parse),
        action(ForceMergeAction.NAME, ForceMergeAction::parse),
        action(ShrinkAction.NAME, ShrinkAction::parse),
        action(AllocateAction.NAME, AllocateAction::parse),
        action(MigrateAction.NAME, MigrateAction::parse),
        action(ReadOnlyAction.NAME, ReadOnlyAction::parse),
        action(DownsampleAction.NAME, DownsampleAction::parse),
        action(DeleteAction.NAME, DeleteAction::parse));
  }

  private static NamedXContentRegistry.Entry action(
      String name, CheckedFunction<XContentParser, LifecycleAction, IOException> parse) {
    return new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(name), parse);
  }

  @Override
  public Collection<RestHandler> getRestHandlers(
      Settings settings, NamedWriteableRegistry writeables, RestController controller, ClusterSettings clusterSettings,
      IndexScopedSettings indexSettings, SettingsFilter filter, IndexNameExpressionResolver resolver,
      Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features) {
    return List.of(new Root(), new PutPolicy());
  }

  /** What the server says about itself; clients refuse to talk to one that does not. */
  private static final class Root extends BaseRestHandler {
    @Override
    public String getName() {
      return "stand_in_root";
    }

    @Override
    public List<Route> routes() {
      return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
      return channel -> {
        XContentBuilder body = channel.newBuilder();
        Map<String, Object> version = new LinkedHashMap<>();
        version.put("number", Build.current().version());
        version.put("build_flavor", "default");
        version.put("build_hash", Build.current().hash());
        body.map(Map.of("name", "ordermesh", "cluster_name", "ordermesh", "version", version,
            "tagline", "You Know, for Search"));
        channel.sendResponse(new RestResponse(RestStatus.OK, body));
      };
    }
  }

  /** Refuses a policy that the lifecycle module would refuse; keeps nothing. */
  private static final class PutPolicy extends BaseRestHandler {
    @Override
    public String getName() {
      return "stand_in_put_policy";
    }

    @Override
    public List<Route> routes() {
      return List.of(new Route(RestRequest.Method.PUT, "/_ilm/policy/{name}"));
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) throws IOException {
      LifecyclePolicy policy;
      try (XContentParser parser = request.contentParser()) {
        parser.nextToken();
        parser.nextToken();
        if (!"policy".equals(parser.currentName())) {
          throw new IllegalArgumentException("a policy is expected under \"policy\"");
        }
        parser.nextToken();
        policy = LifecyclePolicy.parse(parser, request.param("name"));
      }
      policy.validate();
      return channel -> {
        XContentBuilder body = channel.newBuilder().map(Map.of("acknowledged", true));
        channel.sendResponse(new RestResponse(RestStatus.OK, body));
      };
    }
  }
}
