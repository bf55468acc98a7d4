package main

import (
	"context"
	"fmt"
	"log"
	"os/exec"
	"sort"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// direction is one of the two sides of a network policy. On the way in the selected pods are where packets go to.
type direction struct {
	name       networking.PolicyType
	self, peer string
}

var (
	ingress = direction{networking.PolicyTypeIngress, "daddr", "saddr"}
	egress  = direction{networking.PolicyTypeEgress, "saddr", "daddr"}
)

// cluster is what policies speak about, at one moment.
type cluster struct {
	pods       []*core.Pod
	namespaces map[string]labels.Set
	policies   []*networking.NetworkPolicy
}

func selects(selector *meta.LabelSelector, of labels.Set) bool {
	parsed, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(of)
}

// selected are the pods that a policy speaks about.
func (c cluster) selected(policy *networking.NetworkPolicy) (pods []*core.Pod) {
	for _, pod := range c.pods {
		if pod.Namespace == policy.Namespace && selects(&policy.Spec.PodSelector, pod.Labels) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// peers are the pods that a peer by selectors means, in a policy of a namespace.
func (c cluster) peers(namespace string, peer networking.NetworkPolicyPeer) (pods []*core.Pod) {
	for _, pod := range c.pods {
		near := pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			near = selects(peer.NamespaceSelector, c.namespaces[pod.Namespace])
		}
		if near && (peer.PodSelector == nil || selects(peer.PodSelector, pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

func addresses(pods []*core.Pod) string {
	all := make([]string, len(pods))
	for i, pod := range pods {
		all[i] = pod.Status.PodIP
	}
	sort.Strings(all)
	return "{ " + strings.Join(all, ", ") + " }"
}

// match narrows a packet to a set of pods on one of its sides; nothing can match when there are none.
func match(side string, pods []*core.Pod) (string, bool) {
	return fmt.Sprintf("ip %s %s ", side, addresses(pods)), len(pods) > 0
}

func portNumber(pod *core.Pod, name string, protocol core.Protocol) (int32, bool) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && port.Protocol == protocol {
				return port.ContainerPort, true
			}
		}
	}
	return 0, false
}

// portMatches are the alternatives by which a packet may have one of the ports. A port that is given by name has a number
// only together with the pod that it belongs to, which is one of those that receive the packet.
func portMatches(ports []networking.NetworkPolicyPort, receivers []*core.Pod) (matches []string) {
	if len(ports) == 0 {
		return []string{""}
	}
	for _, port := range ports {
		protocol := core.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		transport := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			matches = append(matches, "meta l4proto "+transport+" ")
		case port.Port.Type == intstr.String:
			for _, pod := range receivers {
				if number, found := portNumber(pod, port.Port.StrVal, protocol); found {
					matches = append(matches, fmt.Sprintf("ip daddr %s %s dport %d ", pod.Status.PodIP, transport, number))
				}
			}
		case port.EndPort != nil:
			matches = append(matches, fmt.Sprintf("%s dport %d-%d ", transport, port.Port.IntVal, *port.EndPort))
		default:
			matches = append(matches, fmt.Sprintf("%s dport %d ", transport, port.Port.IntVal))
		}
	}
	return matches
}

// rule is what ingress and egress rules have in common.
type rule struct {
	peers []networking.NetworkPolicyPeer
	ports []networking.NetworkPolicyPort
}

func rulesOf(policy *networking.NetworkPolicy, way direction) (rules []rule) {
	if way == ingress {
		for _, r := range policy.Spec.Ingress {
			rules = append(rules, rule{r.From, r.Ports})
		}
		return rules
	}
	for _, r := range policy.Spec.Egress {
		rules = append(rules, rule{r.To, r.Ports})
	}
	return rules
}

// allowed writes one line for every way in which a rule lets packets of the selected pods pass.
func (c cluster) allowed(namespace string, own []*core.Pod, way direction, r rule) (lines []string) {
	self, _ := match(way.self, own)
	add := func(peer string, peerPods []*core.Pod) {
		receivers := own
		if way == egress {
			receivers = peerPods
		}
		for _, port := range portMatches(r.ports, receivers) {
			lines = append(lines, self+peer+port+"return")
		}
	}
	if len(r.peers) == 0 {
		add("", c.pods)
	}
	for _, peer := range r.peers {
		if peer.IPBlock != nil {
			block := fmt.Sprintf("ip %s %s ", way.peer, peer.IPBlock.CIDR)
			for _, except := range peer.IPBlock.Except {
				block += fmt.Sprintf("ip %s != %s ", way.peer, except)
			}
			add(block, nil)
		} else if pods := c.peers(namespace, peer); len(pods) > 0 {
			among, _ := match(way.peer, pods)
			add(among, pods)
		}
	}
	return lines
}

// chain lets pass what any policy allows, and drops the rest of what goes to or comes from a pod that a policy selects.
func (c cluster) chain(way direction) string {
	var lines []string
	isolated := map[string]*core.Pod{}
	for _, policy := range c.policies {
		concerns := false
		for _, name := range policy.Spec.PolicyTypes {
			concerns = concerns || name == way.name
		}
		own := c.selected(policy)
		if !concerns || len(own) == 0 {
			continue
		}
		for _, pod := range own {
			isolated[pod.Status.PodIP] = pod
		}
		for _, r := range rulesOf(policy, way) {
			lines = append(lines, c.allowed(policy.Namespace, own, way, r)...)
		}
	}
	var closed []*core.Pod
	for _, pod := range isolated {
		closed = append(closed, pod)
	}
	if rest, some := match(way.self, closed); some {
		lines = append(lines, rest+"counter drop")
	}
	return fmt.Sprintf(" chain %s {\n  %s\n }\n", strings.ToLower(string(way.name)), strings.Join(lines, "\n  "))
}

// ruleset replaces our table as a whole, in one transaction. Answers to what was let through pass, and so does what the
// node itself sends to its pods (probes): that is not forwarded.
func (c cluster) ruleset() string {
	hook := " chain on-%[1]s {\n  type filter hook %[1]s priority filter\n  ct state established,related accept\n%[2]s }\n"
	return "table ip ordermesh-policy\ndelete table ip ordermesh-policy\ntable ip ordermesh-policy {\n" +
		c.chain(ingress) + c.chain(egress) +
		fmt.Sprintf(hook, "forward", "  jump egress\n  jump ingress\n") + fmt.Sprintf(hook, "input", "  jump egress\n") + "}\n"
}

func load(ruleset string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(ruleset)
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, said)
	}
	return nil
}

// enforcePolicies keeps the node's packet filter as the network policies say. All pods are on this node.
func enforcePolicies(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods, namespaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(), factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	notice := func() {
		select {
		case changed <- struct{}{}:
		default: // a look is due anyway
		}
	}
	watch := cache.ResourceEventHandlerFuncs{AddFunc: func(any) { notice() }, UpdateFunc: func(_, _ any) { notice() }, DeleteFunc: func(any) { notice() }}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(watch); err != nil {
			return err
		}
	}
	ctx := context.Background()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	loaded := ""
	for notice(); ; time.Sleep(20 * time.Millisecond) {
		<-changed
		now := cluster{namespaces: map[string]labels.Set{}}
		now.policies, _ = policies.Lister().List(labels.Everything())
		all, _ := pods.Lister().List(labels.Everything())
		for _, pod := range all {
			over := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
			if pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !over {
				now.pods = append(now.pods, pod)
			}
		}
		known, _ := namespaces.Lister().List(labels.Everything())
		for _, namespace := range known {
			now.namespaces[namespace.Name] = namespace.Labels
		}
		sort.Slice(now.policies, func(i, j int) bool { return now.policies[i].UID < now.policies[j].UID })
		sort.Slice(now.pods, func(i, j int) bool { return now.pods[i].UID < now.pods[j].UID })
		if next := now.ruleset(); next != loaded {
			if err := load(next); err != nil {
				log.Print(err)
				time.AfterFunc(time.Second, notice)
				continue
			}
			loaded = next
		}
	}
}
