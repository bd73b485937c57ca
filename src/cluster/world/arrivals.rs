//! What arrives at a broker, of clients and of other brokers, unless a test has it fare otherwise.

use super::World;
use crate::{
    cluster::{
        host::{Message, Running},
        intercept::{self, Fate},
        post::{ClientRequest, Event},
        trace::Fact,
    },
    error::{Error, Result},
    types::BrokerId,
};

impl World {
    /// A broker's message arrives, unless it was to fare otherwise.
    pub(super) fn receive(
        &self,
        (from, at): (BrokerId, BrokerId),
        running: &mut Running,
        message: Message,
    ) -> Result<()> {
        let name = |id| running.image().topic_by_id(id).map(|topic| topic.name.to_string());
        let Some((key, fate)) = intercept::fate_of_message(&self.rules, at, &message, name) else {
            return running.receive(from, message);
        };
        match fate {
            Fate::Fail(error) => {
                self.log(Fact::RequestRefused {
                    broker: at,
                    from: Some(from),
                    api: key,
                    error: error.to_string(),
                });
                message.refusal(error).into_iter().for_each(|answer| self.post.send(at, from, &answer));
            }
            Fate::LoseRequest => {
                self.log(Fact::RequestLost { broker: at, from: Some(from), api: key });
            }
            Fate::LoseAnswer => {
                self.log(Fact::AnswerLost { broker: at, from: Some(from), api: key });
                return running.receive(from, message.without_answer());
            }
            Fate::Delay(by) => {
                self.log(Fact::RequestDelayed { broker: at, from: Some(from), api: key, by });
                self.post.push(self.now().plus(by), Event::LateMessage { from, to: at, message });
            }
        }
        Ok(())
    }

    /// A client's request arrives, unless it was to fare otherwise.
    pub(super) fn asked(&self, at: BrokerId, running: &mut Running, request: ClientRequest) {
        let name = |id| running.image().topic_by_id(id).map(|topic| topic.name.to_string());
        let Some((key, fate)) = intercept::fate(&self.rules, at, &request, name) else {
            return running.asked(request);
        };
        let break_off = |request: ClientRequest, error| request.connection().fail(&self.post, at, error);
        match fate {
            Fate::Fail(error) => {
                self.log(Fact::RequestRefused { broker: at, from: None, api: key, error: error.to_string() });
                break_off(request, error);
            }
            Fate::LoseRequest => {
                self.log(Fact::RequestLost { broker: at, from: None, api: key });
                break_off(request, Error::NetworkException);
            }
            Fate::LoseAnswer => {
                self.log(Fact::AnswerLost { broker: at, from: None, api: key });
                running.asked(request.without_answer(&self.post, at));
            }
            Fate::Delay(by) => {
                self.log(Fact::RequestDelayed { broker: at, from: None, api: key, by });
                self.post.push(self.now().plus(by), Event::Late { to: at, request });
            }
        }
    }
}
